"""Pictures: what the figures show, and what the callback writes to TensorBoard."""

import json
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml
from lightning.pytorch.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.utils.data import DistributedSampler

from classifier import (
    MLP,
    Digits,
    ImageClassifier,
    Pictures,
    RunRecord,
    plot_confusion_matrix,
    plot_curves,
    plot_images,
)
from classifier.pictures import GREY, RED, TILE

NAMES = tuple("0123456789")
TAGS = {"images/train", "predictions/test", "confusion_matrix/test", "mistakes/test"}


@pytest.fixture
def train(make_trainer):
    """Return a function that trains on the digits with pictures and a record, and returns the Trainer."""

    def train(max_epochs=1, data=None, model=None, **options):
        L.seed_everything(0)
        options = {"callbacks": [Pictures(every=2), RunRecord()], **options}
        trainer = make_trainer(max_epochs, **options)
        trainer.fit(model or MLP(image_shape=(1, 8, 8), lr=0.1), data or Digits())
        return trainer

    return train


@pytest.fixture
def figures(monkeypatch):
    """Return the list of tags, figures and epochs that callbacks write."""
    written = []
    write = Pictures.write

    def record(self, tag, figure, epochs_done):
        written.append((tag, figure, epochs_done))
        write(self, tag, figure, epochs_done)

    monkeypatch.setattr(Pictures, "write", record)
    return written


def read_events(folder) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()


def get_pixels(figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


def get_captions(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts[1:]]


def find_mistakes(module) -> list[tuple[int, int, int, float]]:
    """Return index, true class, predicted class and loss of all wrong test images, the costliest first."""
    data = Digits()
    data.setup("test")
    images, labels = data.datasets["test"][:]
    with torch.no_grad():
        logits = module.eval()(images)
    losses = F.cross_entropy(logits, labels, reduction="none")
    rows = zip(range(360), labels.tolist(), logits.argmax(1).tolist(), losses.tolist(), strict=True)
    return sorted((row for row in rows if row[1] != row[2]), key=lambda row: -row[3])


def test_wrong_predictions_alone_have_a_red_frame_and_red_names():
    images = torch.zeros(6, 1, 28, 28, dtype=torch.uint8)
    figure = plot_images(images, torch.arange(6), NAMES, torch.tensor([0, 1, 7, 3, 4, 9]), columns=3)
    width = get_pixels(figure).shape[1] // 3
    top = get_pixels(figure)[6, width // 2 :: width]  # in the upper side of the frames of the first row
    assert top == pytest.approx(np.array([[GREY] * 3, [GREY] * 3, RED]), abs=1e-6)
    assert get_captions(figure) == ["0\n0", "1\n1", "7\n2", "3\n3", "4\n4", "9\n5"]
    assert [text.get_color() == RED for text in figure.axes[0].texts[1:]] == [False, False, True, False, False, True]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 20, 60), (1, 224, 150), (2, 1, 300)])
def test_images_of_any_size_are_shown_whole_alike_as_bytes_and_as_numbers(shape):
    images = torch.randint(256, (2, *shape), dtype=torch.uint8)
    first, second = (get_pixels(plot_images(part, torch.tensor([3, 4]), NAMES)) for part in (images, images / 255))
    assert np.array_equal(first, second)
    assert first.shape[1] <= 4 * (TILE + 20)
    if max(shape[1:]) <= TILE:
        for value in images[0].flatten(1).T[:, [0] * 3 if shape[0] < 3 else [0, 1, 2]]:
            assert (first == (value / 255).numpy()).all(axis=2).any()


def test_names_that_are_long_or_look_like_formulas_are_shown_as_text():
    figure = plot_images(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), ("a$\\b$", "a name of many words"))
    figure.savefig("names.png")
    assert get_captions(figure) == ["a$\\b$", "a name of m…"]


def test_a_confusion_matrix_shows_every_count_and_name():
    counts = torch.tensor([[5, 1, 0], [0, 7, 2], [3, 0, 12345]])
    axes = plot_confusion_matrix(counts, ("a", "b$", "c")).axes[0]
    shown = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "5", (0, 1): "1", (1, 1): "7", (1, 2): "2", (2, 0): "3", (2, 2): "12345"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b$", "c"]
    assert axes.get_title() == "12,357 of 12,363 images right (100.0%)"
    assert np.asarray(axes.images[0].get_array())[1].tolist() == pytest.approx([0, 7 / 9, 2 / 9])


@pytest.mark.parametrize("classes", [100, 1000])
def test_a_confusion_matrix_of_many_classes_is_no_larger_than_a_screen_and_has_no_more_than_100_names(classes):
    figure = plot_confusion_matrix(torch.eye(classes).long(), [f"class {i}" for i in range(classes)])
    assert max(figure.get_size_inches()) * figure.dpi < 1200
    assert (len(figure.axes[0].get_xticks()), len(figure.axes[0].texts)) == (100, 0)


def test_curves_show_the_figures_of_every_epoch_in_the_results(train):
    folder = Path(train(2, Digits(val_split=100)).log_dir)
    epochs = json.loads((folder / "results.json").read_text())["epochs"]
    for axes, name in zip(plot_curves(folder).axes, ("loss", "accuracy"), strict=True):
        lines = {line.get_label().split()[0]: line for line in axes.lines}
        for split in ("train", "val", "test"):
            assert lines[split].get_xdata().tolist() == [1, 2]
            assert lines[split].get_ydata().tolist() == [epoch[f"{name}/{split}"] for epoch in epochs]


def test_curves_of_a_folder_without_results_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no .*results\.json"):
        plot_curves(tmp_path)


def test_tensorboard_gets_each_picture_at_the_number_of_epochs_done_and_the_graph(train):
    events = read_events(train(3).log_dir)
    steps = {tag: [image.step for image in events.Images(tag)] for tag in events.Tags()["images"]}
    assert steps.pop("predictions/test") == [2, 3]
    assert steps == {"images/train": [1], "confusion_matrix/test": [3], "mistakes/test": [3]}
    names = {node.name for node in events.Graph().node}
    assert any("Linear[5]" in name for name in names)
    assert not any("scores" in name for name in names)


def test_pictures_show_what_was_trained_on_predicted_and_mistaken(train, figures):
    trainer = train(2)
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

    notes = [f"{guess}\n{label}\n#{index}  {loss:.1f}" for index, label, guess, loss in find_mistakes(module)]
    assert get_captions(drawn["mistakes/test"]) == notes[:12]


def test_training_images_are_shown_as_augmented_and_from_several_batches(train, figures):
    class Inverted(Digits):
        def on_after_batch_transfer(self, batch, dataloader_idx):
            return 1 - batch[0] / 255, batch[1]

    for data in (Digits(batch_size=5), Inverted(batch_size=5)):
        train(data=data, limit_train_batches=5)
    plain, inverted = (get_pixels(figure) for tag, figure, _ in figures if tag == "images/train")
    inside = (slice(10, 100), slice(20, 100))
    assert inverted[inside] == pytest.approx(1 - plain[inside], abs=1e-6)
    assert (plain[inside] == 0).any()


def test_results_hold_the_costliest_mistakes_with_their_index_in_the_test_set(train):
    trainer = train(1, Digits(batch_size=500, test_batch_size=7), callbacks=[RunRecord()])
    mistakes = json.loads(Path(trainer.log_dir, "results.json").read_text())["mistakes/test"]
    expected = find_mistakes(trainer.lightning_module)
    assert len(expected) > len(mistakes) == 20
    for mistake, (index, label, guess, loss) in zip(mistakes, expected[:20], strict=True):
        assert mistake == {
            "index": index,
            "true": str(label),
            "predicted": str(guess),
            "loss": pytest.approx(loss, rel=1e-5),
        }


class Moody(ImageClassifier):
    """A network that depends on chance, on the batches seen, and on the mode of each layer."""

    def build_network(self):
        frozen = nn.BatchNorm1d(64).eval()
        return nn.Sequential(nn.Flatten(), frozen, nn.BatchNorm1d(64), nn.Dropout(), nn.Linear(64, 10))


@pytest.mark.filterwarnings("ignore:Found 1 module")
def test_training_is_the_same_with_and_without_pictures(train):
    outcomes = []
    for callbacks in ([], [Pictures(every=1)]):
        torch.manual_seed(0)
        module = train(3, model=Moody(image_shape=(1, 8, 8)), callbacks=callbacks).lightning_module
        modes = [part.training for part in module.modules()]
        outcomes.append((module.state_dict(), torch.get_rng_state(), modes, torch.backends.mkldnn.enabled))
    (weights, chance, *rest), (other_weights, other_chance, *other_rest) = outcomes
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert torch.equal(chance, other_chance)
    assert rest == other_rest


@pytest.mark.parametrize(
    "options",
    [{"logger": False}, {"fast_dev_run": True}, {"logger": CSVLogger(".")}],
    ids=["no logger", "fast_dev_run", "CSVLogger"],
)
def test_nothing_is_drawn_without_a_tensorboard_logger(train, figures, options):
    train(**options)
    assert figures == []


def test_without_a_data_module_or_an_evaluation_the_rest_is_drawn(make_trainer, figures):
    data = Digits()
    data.setup("fit")
    for options in ({}, {"limit_val_batches": 0}):
        trainer = make_trainer(callbacks=[Pictures()], **options)
        trainer.fit(MLP(image_shape=(1, 8, 8)), data.train_dataloader(), data.val_dataloader())
    assert [tag for tag, *_ in figures] == ["images/train", "confusion_matrix/test", "images/train"]


def test_a_network_that_cannot_be_traced_is_trained_without_a_graph(train, capsys):
    class Strange(nn.Linear):
        def forward(self, images):
            if torch.jit.is_tracing():
                raise RuntimeError("no tracing")
            return super().forward(images.flatten(1))

    class Untraceable(ImageClassifier):
        def build_network(self):
            return Strange(64, 10)

    events = read_events(train(model=Untraceable(image_shape=(1, 8, 8))).log_dir)
    assert set(events.Tags()["images"]) == TAGS
    assert not events.Tags()["graph"]
    assert "no tracing" in capsys.readouterr().out


def test_every_has_to_be_above_0():
    with pytest.raises(ValueError, match="every must be above 0, not 0"):
        Pictures(every=0)


FIT = ("fit", "--config", "digits", "--trainer.limit_train_batches", "5")


def test_fit_draws_by_default_and_a_resumed_run_draws_what_comes_after(run):
    run(*FIT, "--trainer.max_epochs", "1")
    run("fit", "--ckpt_path", "last", "--trainer.max_epochs", "2")
    events = read_events("lightning_logs/version_0")
    steps = {tag: [image.step for image in events.Images(tag)] for tag in events.Tags()["images"]}
    assert steps.pop("images/train") == [1]
    assert steps.keys() == TAGS - {"images/train"}
    assert set(map(tuple, steps.values())) == {(1, 2)}


def test_pictures_can_be_switched_off_and_the_config_says_so(run):
    run(*FIT, "--trainer.max_epochs", "1", "--pictures", "false")
    tags = read_events("lightning_logs/version_0").Tags()
    assert (tags["images"], tags["graph"]) == ([], False)
    assert yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())["pictures"] is False
