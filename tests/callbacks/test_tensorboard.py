"""What TensorBoard shows besides the scalars: layout, HPARAMS, pictures and the graph."""

from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from helpers.figures import get_captions, get_pixels
from helpers.file_data import TrainValDigits, make_data
from helpers.runs import read_events
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.utils.data import DistributedSampler

from classifier import MLP, Digits, ImageClassifier, ResultsRecorder, TensorBoardReporter, plot_images

NAMES = tuple("0123456789")
TAGS = {"images/train", "predictions/test", "confusion_matrix/test", "top_losses/test"}
FIT = ("fit", "--config", "digits", "--trainer.limit_train_batches", "5")


@pytest.fixture
def train_and_draw(train):
    """Return a function that trains with pictures after every second epoch, and returns the Trainer."""

    def train_and_draw(max_epochs=1, data=None, model=None, **options):
        defaults = {
            "callbacks": [TensorBoardReporter(every=2), ResultsRecorder()],
            "enable_progress_bar": False,
            "num_sanity_val_steps": 2,
        }
        return train(max_epochs, data, model, **{**defaults, **options})

    return train_and_draw


@pytest.fixture
def figures(monkeypatch):
    """Return the list of tags, figures and epochs that callbacks write."""
    written = []
    write = TensorBoardReporter.write

    def record(self, tag, figure, epochs_done):
        written.append((tag, figure, epochs_done))
        return write(self, tag, figure, epochs_done)

    monkeypatch.setattr(TensorBoardReporter, "write", record)
    return written


def find_errors(module: L.LightningModule) -> list[tuple[int, int, int, float]]:
    """Return index, true class, predicted class and loss of all misclassified test images, highest loss first."""
    data = Digits()
    data.setup("test")
    images, labels = data.datasets["test"][:]
    with torch.no_grad():
        logits = module.eval()(images)
    losses = F.cross_entropy(logits, labels, reduction="none")
    rows = zip(range(360), labels.tolist(), logits.argmax(1).tolist(), losses.tolist(), strict=True)
    return sorted((row for row in rows if row[1] != row[2]), key=lambda row: -row[3])


def test_one_chart_overlays_the_splits_and_hparams_declare_no_metrics_so_that_all_are_shown(train_and_draw, tmp_path):
    logger = TensorBoardLogger(tmp_path, default_hp_metric=False)
    events = read_events(train_and_draw(logger=logger, callbacks=[TensorBoardReporter(pictures=False)]).log_dir)
    layout = events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0].decode()
    assert all(f"{name}/{split}" in layout for name in ("loss", "accuracy") for split in ("train", "val", "test"))
    plugin = {tag: events.SummaryMetadata(tag).plugin_data for tag in events._plugin_to_tag_to_content["hparams"]}
    assert "_hparams_/session_start_info" in plugin
    assert b"batch_size" in plugin["_hparams_/session_start_info"].content
    assert "_hparams_/experiment" not in plugin  # TensorBoard would use that of one run for all runs
    assert len(events.Scalars("accuracy/test")) == 1


def test_hparams_yaml_is_safe_to_load_and_has_the_settings_that_were_trained_with(train_and_draw):
    settings = yaml.safe_load(Path(train_and_draw().log_dir, "hparams.yaml").read_text())
    assert settings["image_shape"] == [1, 8, 8]
    assert settings["class_names"] == list("0123456789")
    assert (settings["lr"], settings["mean"], settings["batch_size"]) == (0.1, [0.0], 64)


def test_each_picture_is_written_at_the_number_of_epochs_done_and_the_graph_once(train_and_draw, monkeypatch):
    monkeypatch.setattr(TensorBoardReporter, "traced", set())
    events = read_events(train_and_draw(3).log_dir)
    steps = {tag: [image.step for image in events.Images(tag)] for tag in events.Tags()["images"]}
    assert steps.pop("predictions/test") == [2, 3]
    assert steps == {"images/train": [1], "confusion_matrix/test": [3], "top_losses/test": [3]}
    names = {node.name for node in events.Graph().node}
    assert any("Linear[5]" in name for name in names)
    assert not any("metrics" in name for name in names)
    assert "graph" not in {
        tag for tag, present in read_events(train_and_draw(1).log_dir).Tags().items() if present is True
    }


def test_pictures_show_training_images_predictions_and_highest_loss_errors(train_and_draw, figures):
    trainer = train_and_draw(2)
    module, data = trainer.lightning_module, trainer.datamodule
    drawn = {tag: figure for tag, figure, _ in figures}
    assert drawn.keys() == TAGS

    order = list(DistributedSampler(data.datasets["train"], 1, 0, shuffle=True, seed=0))[:12]
    images, labels = data.datasets["train"][order]
    assert get_captions(drawn["images/train"]) == [str(label) for label in labels.tolist()]
    assert np.array_equal(get_pixels(drawn["images/train"]), get_pixels(plot_images(images, labels, NAMES)))

    indices = [int(i * 359 / 11) for i in range(12)]
    images, labels = data.datasets["test"][indices]
    predicted = module.eval()(images).argmax(1)
    expected = [f"{guess}\n{label}" for guess, label in zip(predicted.tolist(), labels.tolist(), strict=True)]
    assert get_captions(drawn["predictions/test"]) == expected
    wrong = int((predicted != labels).sum())
    title = drawn["predictions/test"].axes[0].texts[0].get_text()
    assert title == f"epoch 2: predicted above true class, {wrong} of 12 wrong"

    notes = [f"{guess}\n{label}\n#{index}  {loss:.1f}" for index, label, guess, loss in find_errors(module)]
    assert get_captions(drawn["top_losses/test"]) == notes[:12]


def test_training_images_are_shown_augmented_and_from_several_batches(train_and_draw, figures):
    class Inverted(Digits):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            return 1 - batch[0] / 255, batch[1]

    for data in (Digits(batch_size=5), Inverted(batch_size=5)):
        train_and_draw(data=data, limit_train_batches=5)
    plain, inverted = (get_pixels(figure) for tag, figure, _ in figures if tag == "images/train")
    inside = (slice(10, 100), slice(20, 100))
    assert inverted[inside] == pytest.approx(1 - plain[inside], abs=1e-6)
    assert (plain[inside] == 0).any()


class Sensitive(ImageClassifier):
    """A network that depends on random numbers, on the batches seen, and on the mode of each layer."""

    def build_network(self):
        frozen = nn.BatchNorm1d(64).eval()
        return nn.Sequential(nn.Flatten(), frozen, nn.BatchNorm1d(64), nn.Dropout(), nn.Linear(64, 10))


@pytest.mark.filterwarnings("ignore:Found 1 module")
def test_training_is_the_same_with_and_without_pictures(train_and_draw):
    outcomes = []
    for callbacks in ([], [TensorBoardReporter(every=1)]):
        torch.manual_seed(0)
        module = train_and_draw(3, model=Sensitive(image_shape=(1, 8, 8)), callbacks=callbacks).lightning_module
        modes = [part.training for part in module.modules()]
        outcomes.append((module.state_dict(), torch.get_rng_state(), modes, torch.backends.mkldnn.enabled))
    (weights, state, *rest), (other_weights, other_state, *other_rest) = outcomes
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert torch.equal(state, other_state)
    assert rest == other_rest


@pytest.mark.parametrize(
    "options",
    [{"logger": False}, {"fast_dev_run": True}],
    ids=["no logger", "fast_dev_run"],
)
def test_nothing_is_drawn_without_a_logger(train_and_draw, figures, options):
    train_and_draw(**options)
    assert figures == []
    assert not list(Path().rglob("*.png"))


def test_pictures_that_need_no_data_module_or_no_evaluation_are_drawn_without_it(make_trainer, figures):
    data = Digits()
    data.setup("fit")
    for options in ({}, {"limit_val_batches": 0}):
        trainer = make_trainer(callbacks=[TensorBoardReporter()], **options)
        trainer.fit(MLP(image_shape=(1, 8, 8)), data.train_dataloader(), data.val_dataloader())
    assert [tag for tag, *_ in figures] == ["images/train", "confusion_matrix/test", "images/train"]


def test_network_that_cannot_be_traced_is_trained_without_a_graph(train_and_draw, capsys):
    class UntraceableLayer(nn.Linear):
        def forward(self, images):
            if torch.jit.is_tracing():
                raise RuntimeError("no tracing")
            return super().forward(images.flatten(1))

    class Untraceable(ImageClassifier):
        def build_network(self):
            return UntraceableLayer(64, 10)

    events = read_events(train_and_draw(model=Untraceable(image_shape=(1, 8, 8))).log_dir)
    assert set(events.Tags()["images"]) == TAGS
    assert not events.Tags()["graph"]
    assert "no tracing" in capsys.readouterr().out


def test_every_must_be_above_0():
    with pytest.raises(ValueError, match="every must be above 0, not 0"):
        TensorBoardReporter(every=0)


def test_fit_draws_by_default_and_a_resumed_run_continues_to_draw(run):
    run(*FIT, "--trainer.max_epochs", "1")
    run("fit", "--ckpt_path", "last", "--trainer.max_epochs", "2")
    events = read_events("lightning_logs/version_0")
    steps = {tag: [image.step for image in events.Images(tag)] for tag in events.Tags()["images"]}
    assert steps.pop("images/train") == [1]
    assert steps.keys() == TAGS - {"images/train"}
    assert set(map(tuple, steps.values())) == {(1, 2)}


def test_pictures_can_be_switched_off_which_the_config_of_the_run_records(run):
    run(*FIT, "--trainer.max_epochs", "1", "--pictures", "false")
    tags = read_events("lightning_logs/version_0").Tags()
    assert (tags["images"], tags["graph"]) == ([], False)
    assert not list(Path("lightning_logs/version_0").glob("*.png"))
    assert yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())["pictures"] is False


def test_failure_to_draw_is_a_warning_and_training_continues_without_images(train, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TensorBoardReporter, "write", refuse)
    with pytest.warns(UserWarning, match="no more pictures are drawn: OSError: .*No space left"):
        trainer = train(2, callbacks=[TensorBoardReporter()])
    assert trainer.current_epoch == 2


def test_pictures_show_the_validation_images_if_there_are_no_test_images(train_and_draw, figures):
    trainer = train_and_draw(1, make_data(TrainValDigits))
    drawn = {tag: figure for tag, figure, _ in figures}
    assert drawn.keys() == {tag.replace("/test", "/val") for tag in TAGS}
    counts = trainer.lightning_module.get_metrics("val").compute()["confusion_matrix"]
    title = drawn["confusion_matrix/val"].axes[0].get_title()
    assert title.startswith(f"{counts.trace()} of 60 images correct")


def test_captions_have_the_end_of_the_name_of_the_file_and_the_title_names_their_lines(train_and_draw, figures):
    data = make_data(folder="a\x1b")
    train_and_draw(1, data)
    drawn = {tag: figure for tag, figure, _ in figures}
    captions = get_captions(drawn["predictions/test"])
    assert [caption.split("\n")[2] for caption in captions] == [f"{1200 + int(i * 39 / 11):04}.png" for i in range(12)]
    assert "predicted class, true class, file; " in drawn["predictions/test"].axes[0].texts[0].get_text()
    errors = data.trainer.lightning_module.get_metrics("test").top_losses(12)
    captions = [caption.split("\n")[2:] for caption in get_captions(drawn["top_losses/test"])]
    names = [
        [f"{1200 + int(i):04}.png", f"{loss:.1f}"] for i, loss in zip(errors["index"], errors["loss"], strict=True)
    ]
    assert captions == names
    title = drawn["top_losses/test"].axes[0].texts[0].get_text()
    assert title == "highest-loss errors: predicted, true class, file, loss"
