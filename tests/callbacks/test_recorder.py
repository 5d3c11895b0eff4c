"""`results.json`: every epoch of a run."""

import contextlib
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.file_data import TrainValDigits, make_data
from helpers.runs import read_events

from classifier import MLP, Digits, ResultsRecorder
from classifier.errors import UserError
from classifier.files import atomic_write

TAGS = {"loss/train", "loss/test", "accuracy/train", "accuracy/test", "lr", "speed/images_per_second"}


def read(trainer) -> dict:
    """Return the results that a Trainer's run has recorded."""
    return json.loads(Path(trainer.log_dir, "results.json").read_text())


def test_results_contain_every_metric_class_and_number_of_images_of_every_epoch(train):
    trainer = train(2, Digits(val_split=200))
    results = read(trainer)
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


def test_run_without_a_logger_writes_nothing(train, tmp_path):
    train(1, logger=False)
    assert not list(tmp_path.iterdir())


def test_metrics_of_an_earlier_epoch_are_not_recorded_again(train):
    epochs = read(train(3, check_val_every_n_epoch=2))["epochs"]
    assert ["loss/test" in epoch for epoch in epochs] == [False, True, False]


def test_run_that_ends_within_an_epoch_scores_the_test_images_with_its_last_weights(train):
    trainer = train(5, max_steps=30)
    epochs = read(trainer)["epochs"]
    assert [epoch["images_scored"] for epoch in epochs] == [{"train": 1437, "test": 360}, {"train": 448, "test": 360}]
    scored = trainer.test(trainer.lightning_module, Digits(), verbose=False)[0]
    assert epochs[-1]["loss/test"] == pytest.approx(scored["loss/test"], rel=1e-6)


def test_results_are_valid_json_if_a_metric_is_not_a_number(train):
    trainer = train(1, limit_val_batches=1, data=Digits(test_batch_size=3))
    text = Path(trainer.log_dir, "results.json").read_text()

    def refuse(name):
        raise AssertionError(name)

    epoch = json.loads(text, parse_constant=refuse)["epochs"][0]
    assert None in epoch["accuracy_by_class/test"].values()


def test_results_contain_the_highest_loss_errors_with_their_index_in_the_test_set(train):
    trainer = train(1, Digits(batch_size=500, test_batch_size=7), callbacks=[ResultsRecorder()])
    errors = read(trainer)["top_losses/test"]
    data = Digits()
    data.setup("test")
    images, labels = data.datasets["test"][:]
    with torch.no_grad():
        logits = trainer.lightning_module.eval()(images)
    losses, predictions = F.cross_entropy(logits, labels, reduction="none"), logits.argmax(1)
    wrong = sorted((predictions != labels).nonzero().flatten().tolist(), key=lambda index: -losses[index])
    assert len(wrong) > len(errors) == 20
    for error, index in zip(errors, wrong[:20], strict=True):
        assert error == {
            "index": index,
            "true": str(labels[index].item()),
            "predicted": str(predictions[index].item()),
            "loss": pytest.approx(losses[index].item(), rel=1e-5),
        }


def test_second_fit_of_a_recorder_starts_with_an_empty_record(train):
    recorder = ResultsRecorder()
    for _ in range(2):
        train(2, callbacks=[recorder])
    assert [epoch["epoch"] for epoch in recorder.epochs] == [1, 2]


def test_results_that_cannot_be_written_are_reported_after_the_last_checkpoint(train, monkeypatch):
    def refuse(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("classifier.callbacks.recorder.atomic_write", refuse)
    recorder = ResultsRecorder()
    with pytest.raises(UserError, match=r"results\.json cannot be written: No space left on device"):
        train(2, callbacks=[recorder])
    assert [epoch["epoch"] for epoch in recorder.epochs] == [1, 2]


def test_results_that_could_not_be_written_for_a_moment_are_written_later(train, monkeypatch):
    attempts = []

    @contextlib.contextmanager
    def refuse_twice(path):
        attempts.append(path)
        if len(attempts) <= 2:
            raise OSError(28, "No space left on device")
        with atomic_write(path) as unfinished:
            yield unfinished

    monkeypatch.setattr("classifier.callbacks.recorder.atomic_write", refuse_twice)
    trainer = train(2)
    results = json.loads(Path(trainer.log_dir, "results.json").read_text())
    assert [epoch["epoch"] for epoch in results["epochs"]] == [1, 2]


def test_results_are_those_of_the_validation_images_if_there_are_no_test_images(train):
    model = MLP(image_shape=(1, 8, 8), lr=0.1)
    trainer = train(1, make_data(TrainValDigits), model, callbacks=[ResultsRecorder()])
    results = read(trainer)
    (epoch,) = results["epochs"]
    assert [key for key in [*results, *epoch] if key.endswith("/test")] == []
    images, labels = trainer.datamodule.datasets["val"][:]
    correct = model.eval()(images).argmax(1) == labels
    assert len(results["top_losses/val"]) == min(20, int((~correct).sum())) > 0
    accuracies = epoch["accuracy_by_class/val"]
    assert accuracies == {
        str(digit): pytest.approx(correct[labels == digit].double().mean().item()) for digit in range(10)
    }
    assert "accuracy_by_class/test" in read(train(1, make_data()))["epochs"][0]


@pytest.mark.parametrize(("folder", "prefix"), [("photos", ""), ("photos/../else", "photos/../else/"), ("a", "a/")])
def test_errors_have_the_path_of_their_file_relative_to_the_folder_of_the_data(train, folder, prefix):
    errors = read(train(1, make_data(folder=folder), callbacks=[ResultsRecorder()]))["top_losses/test"]
    assert errors
    for error in errors:
        assert list(error) == ["index", "file", "true", "predicted", "loss"]
        assert error["file"] == f"{prefix}test/{1200 + error['index']:04}.png"
