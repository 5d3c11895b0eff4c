"""What a run shows and leaves: terminal lines, results.json, TensorBoard."""

import json
import re
from pathlib import Path

import lightning as L
import pytest
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from classifier import MLP, Digits
from classifier.callbacks import EpochLines, RunRecord

TAGS = {"loss/train", "loss/test", "accuracy/train", "accuracy/test", "lr", "speed/images_per_second"}


@pytest.fixture
def train(make_trainer):
    """Return a function that trains on the digits with the callbacks, and returns the run's folder."""

    def train(max_epochs=3, data=None, **options):
        L.seed_everything(0)
        options = {"callbacks": [EpochLines(), RunRecord()], "enable_progress_bar": True, **options}
        trainer = make_trainer(max_epochs, num_sanity_val_steps=0, **options)
        trainer.fit(MLP(image_shape=(1, 8, 8), lr=0.1), data or Digits())
        return trainer

    return train


def read_events(folder) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def test_every_scalar_is_logged_once_an_epoch_at_the_number_of_epochs_done(train):
    events = read_events(train().log_dir)
    assert set(events.Tags()["scalars"]) == TAGS | {"hp_metric"}  # hp_metric is the plain logger's own
    for tag in TAGS:
        assert [point.step for point in events.Scalars(tag)] == [1, 2, 3], tag


def test_validation_images_add_their_own_curves(train):
    events = read_events(train(2, Digits(val_split=200)).log_dir)
    assert {"loss/val", "accuracy/val"} <= set(events.Tags()["scalars"])


def test_a_plain_trainer_without_callbacks_logs_the_same_scalars(train):
    recorded, plain = train(2), train(2, callbacks=[], enable_progress_bar=False)
    for tag in TAGS - {"speed/images_per_second"}:
        values = [[p.value for p in read_events(run.log_dir).Scalars(tag)] for run in (recorded, plain)]
        assert values[0] == values[1], tag


def test_one_chart_overlays_the_splits_and_hparams_show_settings_and_test_accuracy(train, tmp_path):
    events = read_events(train(1, logger=TensorBoardLogger(tmp_path, default_hp_metric=False)).log_dir)
    layout = events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0].decode()
    assert all(f"{name}/{split}" in layout for name in ("loss", "accuracy") for split in ("train", "val", "test"))
    plugin = {tag: events.SummaryMetadata(tag).plugin_data for tag in events._plugin_to_tag_to_content["hparams"]}
    assert "_hparams_/session_start_info" in plugin
    assert b"batch_size" in plugin["_hparams_/session_start_info"].content
    assert b"accuracy/test" in plugin["_hparams_/experiment"].content
    assert len(events.Scalars("accuracy/test")) == 1


def test_hparams_yaml_is_safe_to_load_and_holds_what_was_trained(train):
    settings = yaml.safe_load(Path(train(1).log_dir, "hparams.yaml").read_text())
    assert settings["image_shape"] == [1, 8, 8]
    assert settings["class_names"] == list("0123456789")
    assert (settings["lr"], settings["mean"], settings["batch_size"]) == (0.1, [0.0], 64)


def test_results_hold_every_scalar_class_and_count_of_every_epoch(train):
    trainer = train(2, Digits(val_split=200))
    results = json.loads(Path(trainer.log_dir, "results.json").read_text())
    assert (results["model"], results["data"], results["parameters"]) == ("MLP", "Digits", 50_826)
    assert (results["seed"], results["device"], results["processes"]) == (0, "cpu", 1)
    assert results["versions"].keys() >= {"python", "torch", "lightning"}
    assert [epoch["epoch"] for epoch in results["epochs"]] == [1, 2]
    last = results["epochs"][-1]
    assert last.keys() >= TAGS | {"loss/val", "accuracy/val", "seconds"}
    assert last["lr"] == 0.1
    assert last["images_scored"] == {"train": 1237, "val": 200, "test": 360}
    counts = [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    correct = sum(a * n for a, n in zip(last["accuracy_by_class/test"].values(), counts, strict=True))
    assert correct / 360 == pytest.approx(last["accuracy/test"], abs=1e-6)
    events = read_events(trainer.log_dir)
    for tag in TAGS:
        assert last[tag] == pytest.approx(events.Scalars(tag)[-1].value, rel=1e-6), tag


def test_the_terminal_gets_one_line_an_epoch_then_classes_run_and_tensorboard_command(train, capsys):
    train(2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "MLP with 50,826 parameters on Digits (1,437 train, 360 test images), 1 x cpu"
    figures = r"loss \d\.\d{4} accuracy \d+\.\d%"
    for number, line in enumerate(lines[1:3], start=1):
        assert re.fullmatch(rf"epoch {number}/2  train {figures}  test {figures}  \d+\.\d s", line)
    assert [line.split()[0] for line in lines[5:15]] == list("0123456789")
    assert lines[-2].startswith("run: ")
    assert re.fullmatch(r"curves: tensorboard --host localhost --logdir \S+", lines[-1])


def test_a_run_without_a_logger_leaves_nothing_on_disk(train, tmp_path):
    train(1, logger=False)
    assert not list(tmp_path.iterdir())


def test_an_epoch_without_evaluation_has_training_figures_only(train, capsys):
    train(1, limit_val_batches=0)
    assert re.search(r"^epoch 1/1  train loss \d\.\d+ accuracy \S+  \d", capsys.readouterr().out, re.MULTILINE)


def test_figures_of_an_epoch_before_are_not_given_out_again(train, capsys):
    trainer = train(3, check_val_every_n_epoch=2)
    epochs = json.loads(Path(trainer.log_dir, "results.json").read_text())["epochs"]
    assert ["loss/test" in epoch for epoch in epochs] == [False, True, False]
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert ["test loss" in line for line in lines] == [False, True, False]


def test_a_run_that_ends_within_an_epoch_scores_the_test_images_with_its_last_weights(train):
    trainer = train(5, max_steps=30)
    epochs = json.loads(Path(trainer.log_dir, "results.json").read_text())["epochs"]
    assert [epoch["images_scored"] for epoch in epochs] == [{"train": 1437, "test": 360}, {"train": 448, "test": 360}]
    module = trainer.lightning_module
    trainer.test(module, Digits(), verbose=False)
    assert epochs[-1]["loss/test"] == pytest.approx(module.figures["loss/test"], rel=1e-6)


def test_results_stay_json_when_a_figure_is_not_a_number(train):
    trainer = train(1, limit_val_batches=1, data=Digits(test_batch_size=3))
    text = Path(trainer.log_dir, "results.json").read_text()

    def refuse(name):
        raise AssertionError(name)

    epoch = json.loads(text, parse_constant=refuse)["epochs"][0]
    assert None in epoch["accuracy_by_class/test"].values()


def test_a_part_of_the_test_images_is_called_a_part(train, capsys):
    train(1, limit_val_batches=1, data=Digits(test_batch_size=250))
    assert re.search(r"test loss \S+ accuracy \S+ of 250 images", capsys.readouterr().out)
