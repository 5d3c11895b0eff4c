"""Figures of images, confusion matrices and curves."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.figures import get_captions, get_pixels

from classifier import MLP, Digits, ResultsRecorder, plot_confusion_matrix, plot_curves, plot_images
from classifier.errors import UserError
from classifier.plots import GREY, RED, TILE, caption_file

NAMES = tuple("0123456789")


def test_only_wrong_predictions_have_a_red_frame_and_a_red_caption():
    images = torch.zeros(6, 1, 28, 28, dtype=torch.uint8)
    figure = plot_images(images, torch.arange(6), NAMES, torch.tensor([0, 1, 7, 3, 4, 9]), columns=3)
    width = get_pixels(figure).shape[1] // 3
    top = get_pixels(figure)[6, width // 2 :: width]  # in the upper edge of the frames of the first row
    assert top == pytest.approx(np.array([[GREY] * 3, [GREY] * 3, RED]), abs=1e-6)
    assert get_captions(figure) == ["0\n0", "1\n1", "7\n2", "3\n3", "4\n4", "9\n5"]
    assert [text.get_color() == RED for text in figure.axes[0].texts[1:]] == [False, False, True, False, False, True]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 20, 60), (1, 224, 150), (2, 1, 300)])
def test_images_of_any_size_are_shown_uncropped_and_alike_as_uint8_and_as_float(shape):
    images = torch.randint(256, (2, *shape), dtype=torch.uint8)
    first, second = (get_pixels(plot_images(part, torch.tensor([3, 4]), NAMES)) for part in (images, images / 255))
    assert np.array_equal(first, second)
    assert first.shape[1] <= 4 * (TILE + 20)
    if max(shape[1:]) <= TILE:
        for value in images[0].flatten(1).T[:, [0] * 3 if shape[0] < 3 else [0, 1, 2]]:
            assert (first == (value / 255).numpy()).all(axis=2).any()


def test_long_names_are_truncated_and_formulas_are_shown_as_text():
    figure = plot_images(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), ("a$\\b$", "a name of many words"))
    figure.savefig("names.png")
    assert get_captions(figure) == ["a$\\b$", "a name of m…"]


def test_confusion_matrix_shows_every_count_and_name():
    counts = torch.tensor([[5, 1, 0], [0, 7, 2], [3, 0, 12345]])
    axes = plot_confusion_matrix(counts, ("a", "b$", "c")).axes[0]
    shown = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "5", (0, 1): "1", (1, 1): "7", (1, 2): "2", (2, 0): "3", (2, 2): "12345"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b$", "c"]
    assert axes.get_title() == "12,357 of 12,363 images correct (100.0%)"
    assert np.asarray(axes.images[0].get_array())[1].tolist() == pytest.approx([0, 7 / 9, 2 / 9])


@pytest.mark.parametrize("classes", [100, 1000])
def test_confusion_matrix_of_many_classes_fits_on_a_screen_and_has_at_most_100_names(classes):
    figure = plot_confusion_matrix(torch.eye(classes).long(), [f"class {i}" for i in range(classes)])
    assert max(figure.get_size_inches()) * figure.dpi < 1200
    assert (len(figure.axes[0].get_xticks()), len(figure.axes[0].texts)) == (100, 0)


def test_curves_show_loss_and_accuracy_of_every_epoch_in_the_results(make_trainer):
    trainer = make_trainer(2, callbacks=[ResultsRecorder()])
    trainer.fit(MLP(image_shape=(1, 8, 8), lr=0.1), Digits(val_split=100))
    folder = Path(trainer.log_dir)
    epochs = json.loads((folder / "results.json").read_text())["epochs"]
    for axes, name in zip(plot_curves(folder).axes, ("loss", "accuracy"), strict=True):
        lines = {line.get_label().split()[0]: line for line in axes.lines}
        for split in ("train", "val", "test"):
            assert lines[split].get_xdata().tolist() == [1, 2]
            assert lines[split].get_ydata().tolist() == [epoch[f"{name}/{split}"] for epoch in epochs]


def test_curves_of_a_folder_without_results_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"there is no .*results\.json"):
        plot_curves(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["{", "[]", "{}", '{"epochs": 1}', '{"epochs": [1]}', '{"epochs": [{"epoch": 1, "loss/val": "a"}]}', b"\xff"],
)
def test_curves_of_a_damaged_record_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "results.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"results\.json is damaged: .*$"):
        plot_curves(tmp_path)


@pytest.mark.parametrize(
    ("path", "caption"),
    [
        ("photos/cat/001.png", "001.png"),
        ("photos/twelve12.jpg", "twelve12.jpg"),
        ("a/DSC_20240131_0042.jpg", "…31_0042.jpg"),
        ("a\n/b\x1b[2J\udcff.png", "b?[2J?.png"),
    ],
)
def test_caption_of_a_file_is_the_end_of_its_printable_name(path, caption):
    assert caption_file(path) == caption


def test_notes_of_several_lines_have_room_below_the_images():
    images, labels = torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.long)
    heights = [
        plot_images(images, labels, ["a"], notes=notes).get_figheight() for notes in (None, ["x", "y"], ["x\nx", "y"])
    ]
    assert heights[2] - heights[1] == pytest.approx(heights[1] - heights[0]) == pytest.approx(0.2)


def test_images_without_labels_have_no_captions_and_labels_without_names_are_shown_as_numbers():
    images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    assert get_captions(plot_images(images)) == [""] * 3
    assert get_captions(plot_images(images, torch.tensor([2, 0, 1]))) == ["2", "0", "1"]
    assert get_captions(plot_images(images, notes=["a", "b", "c"])) == ["a", "b", "c"]


def test_curves_of_a_trainer_without_a_record_are_those_of_the_record(make_trainer):
    trainer = make_trainer(max_epochs=3, callbacks=[ResultsRecorder()])
    trainer.fit(MLP(image_shape=(1, 8, 8), hidden_sizes=(8,)), Digits(val_split=100))
    recorded = get_curves(plot_curves(trainer.log_dir))
    assert get_curves(plot_curves(trainer)) == pytest.approx(recorded, rel=1e-6)
    trainer = make_trainer(max_epochs=3)
    trainer.fit(MLP(image_shape=(1, 8, 8), hidden_sizes=(8,)), Digits(val_split=100))
    axes = plot_curves(trainer).axes
    assert [(len(part.lines), part.get_title()) for part in axes] == [
        (3, "loss of MLP on Digits"),
        (3, "accuracy of MLP on Digits"),
    ]
    assert axes[0].lines[0].get_xdata() == pytest.approx([1, 2, 3])
    for wrong in (make_trainer(), 7):
        with pytest.raises(UserError, match="needs the folder of a run, or a Trainer after its fit method"):
            plot_curves(wrong)


def get_curves(figure):
    return {
        f"{axes.get_title()} {line.get_label().split()[0]} {i}": y
        for axes in figure.axes
        for line in axes.lines
        for i, y in enumerate(line.get_ydata())
    }


def test_figure_is_shown_as_a_picture_without_pyplot():
    png = plot_images(torch.zeros(1, 1, 28, 28, dtype=torch.uint8))._repr_png_()
    assert png.startswith(b"\x89PNG")
