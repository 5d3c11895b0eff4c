"""Data sets made of the user's own folders."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifier import MLP, ImageFolder
from classifier.errors import UserError
from classifier.images import ImageFiles, read_image

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


def write_images(folder: Path, count: int, level: int, seed: int = 0) -> None:
    """Write noisy images of different sizes, formats and modes around a grey level."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed + level)
    for i in range(count):
        pixels = (level + generator.integers(0, 50, (20 + i % 3, 20, 3))).astype(np.uint8)
        image = Image.fromarray(pixels)
        (image.convert("L") if i % 2 else image).save(folder / f"{i:02}.{('png', 'jpg', 'bmp')[i % 3]}")


@pytest.fixture
def split_root(tmp_path):
    """Write folders for training and testing."""
    for split, count in (("train", 12), ("test", 5)):
        for name, level in (("Zebra", 0), ("ant", 100), ("cat", 200)):
            write_images(tmp_path / "pets" / split / name, count, level, seed=len(split))
    (tmp_path / "pets/train/.hidden").mkdir()
    (tmp_path / "pets/train/ant/notes.txt").touch()
    return tmp_path / "pets"


@pytest.fixture
def plain_root(tmp_path):
    """Write class folders alone."""
    for name, count, level in (("ant", 8, 0), ("bee", 20, 100), ("cat", 4, 200)):
        write_images(tmp_path / "pets" / name, count, level)
    return tmp_path / "pets"


def open_folder(root, **options) -> ImageFolder:
    data = ImageFolder(str(root), image_size=8, **options)
    data.setup("fit")
    return data


def get_tensors(data: ImageFolder) -> dict[str, torch.Tensor]:
    return {split: dataset[:][0] for split, dataset in data.datasets.items()}


@pytest.mark.parametrize("channels", [1, 3])
def test_folders_give_classes_labels_and_images_of_one_shape(split_root, channels):
    data = ImageFolder(str(split_root), image_size=8, channels=channels)
    assert (data.class_names, data.num_classes) == (("Zebra", "ant", "cat"), 3)
    assert data.image_shape == (channels, 8, 8)
    data.setup("fit")
    for split, count in (("train", 12), ("test", 5)):
        dataset = data.datasets[split]
        assert dataset.labels.tolist() == [label for label in range(3) for _ in range(count)]
        files = sorted((split_root / split / "ant").glob("*.[pjb]*"))
        expected = torch.stack([read_image(file, data.image_shape) for file in files])
        assert torch.equal(dataset.images[count : 2 * count], expected)


def test_class_folders_alone_are_split_once_and_for_all_with_equal_shares(plain_root):
    data = open_folder(plain_root, test_share=0.25)
    counts = [torch.bincount(data.datasets[split].labels).tolist() for split in ("train", "test")]
    assert counts == [[6, 15, 3], [2, 5, 1]]
    again = open_folder(plain_root, test_share=0.25)
    assert torch.equal(again.datasets["test"].images, data.datasets["test"].images)
    images = torch.cat([data.datasets[split].images for split in ("train", "test")])
    files = [file for name in data.class_names for file in sorted((plain_root / name).iterdir())]
    expected = torch.stack([read_image(file, data.image_shape) for file in files])
    assert torch.equal(images.flatten(1).unique(dim=0), expected.flatten(1).unique(dim=0))


def test_a_second_start_decodes_nothing_until_a_file_changes(split_root, monkeypatch):
    first = get_tensors(open_folder(split_root))
    decoded = []

    def count_and_read(path, image_shape):
        decoded.append(path)
        return read_image(path, image_shape)

    monkeypatch.setattr("classifier.images.read_image", count_and_read)
    second = get_tensors(open_folder(split_root))
    assert not decoded
    assert all(torch.equal(first[split], second[split]) for split in first)

    Image.new("RGB", (20, 20), "white").save(split_root / "train/cat/00.png")
    third = get_tensors(open_folder(split_root))
    assert len(decoded) == 51
    assert (third["train"][24] == 255).all()
    os.utime(split_root / "train/cat/01.jpg", (0, 0))
    open_folder(split_root)
    assert len(decoded) == 102
    assert len(list((split_root / ".cache").iterdir())) == 1

    open_folder(split_root, channels=1)
    assert len(decoded) == 153
    open_folder(split_root)
    open_folder(split_root, channels=1)
    assert len(decoded) == 153


def test_a_damaged_cache_is_made_anew_and_code_in_it_is_not_run(split_root):
    first = get_tensors(open_folder(split_root))
    (file,) = (split_root / ".cache").iterdir()
    whole = file.read_bytes()
    for save in (
        lambda: file.write_bytes(whole[:-5]),
        lambda: file.write_bytes(b""),
        lambda: np.save(file, np.array([Path()], dtype=object)),
        lambda: np.save(file, np.zeros((51, 3, 8, 8))),
    ):
        save()
        again = get_tensors(open_folder(split_root))
        assert all(torch.equal(first[split], again[split]) for split in first)
        assert file.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_read_all_the_same(split_root):
    (split_root / ".cache").touch()
    assert open_folder(split_root).datasets["test"].images.shape == (15, 3, 8, 8)


@pytest.mark.parametrize("few", [1000, 1], ids=["alone", "with workers"])
def test_images_too_many_for_memory_are_decoded_when_needed_to_the_same_training(
    split_root, make_trainer, monkeypatch, few
):
    monkeypatch.setattr("classifier.images.FEW", few)
    weights = []
    for cache in (1, 0):
        torch.manual_seed(0)
        data = ImageFolder(str(split_root), image_size=8, cache=cache, val_split=6, batch_size=7)
        model = MLP(image_shape=(3, 8, 8), num_classes=3)
        make_trainer(max_epochs=2).fit(model, data)
        weights.append(model.state_dict())
        assert isinstance(data.datasets["train"].images, ImageFiles) == (cache == 0)
        assert {split: len(dataset) for split, dataset in data.datasets.items()} == {"val": 6, "train": 30, "test": 15}
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_broken_files_are_all_named_in_one_error_before_training(split_root):
    for name in ("train/ant/00.png", "test/cat/02.bmp"):
        (split_root / name).write_text("no image")
    cut = split_root / "train/cat/04.jpg"
    cut.write_bytes(cut.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"remove 3 of 51 files: .*ant/00\.png is no.*cat/04\.jpg.*cat/02\.bmp is no"):
        ImageFolder(str(split_root)).prepare_data()
    with pytest.raises(UserError, match=r"remove 3 of 51 files: .*ant/00\.png is no.*cat/04\.jpg.*cat/02\.bmp is no"):
        ImageFolder(str(split_root), cache=0).prepare_data()
    assert not (split_root / ".cache").exists()


@pytest.mark.parametrize("few", [1000, 1], ids=["alone", "with workers"])
def test_a_file_that_breaks_during_training_is_named_in_one_line(split_root, fail, monkeypatch, few):
    monkeypatch.setattr("classifier.images.FEW", few)
    monkeypatch.setattr(ImageFolder, "check", lambda _, files: files)
    cut = split_root / "train/cat/04.jpg"
    cut.write_bytes(cut.read_bytes()[:-50])
    options = ("--data.root", split_root, "--data.image_size", "8", "--data.cache", "0", "--trainer.max_epochs", "1")
    status, line = fail("fit", "--data", "ImageFolder", *options)
    assert (status, line.startswith(f"python -m classifier: error: {cut} cannot be read")) == (1, True), line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: root.rename("moved"), "pets must hold a folder for each class, two or more"),
        (lambda root: (root / "test").rename("moved"), "has train/ with class folders, but no test/"),
        (lambda root: (root / "train/ant").rename("moved"), "test/ has classes that train/ has not: ant"),
        (lambda root: [f.unlink() for f in (root / "train/ant").iterdir()], "train/ant holds no image files"),
    ],
)
def test_a_folder_that_holds_no_data_set_is_refused_in_one_line(split_root, fail, change, message):
    change(split_root)
    status, line = fail("fit", "--data", "ImageFolder", "--data.root", split_root, "--trainer.max_epochs", "1")
    assert (status, message in line) == (1, True), line


def test_a_class_that_cannot_be_split_is_refused(plain_root):
    for name in ("00.png", "01.jpg", "02.bmp"):
        (plain_root / "cat" / name).unlink()
    with pytest.raises(UserError, match=r"pets cannot be split: .*only 1 member"):
        open_folder(plain_root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size must be above 0, not 0"),
        ({"channels": 2}, "channels must be 1 or 3, not 2"),
        ({"test_share": 1.0}, "test_share must be above 0 and below 1"),
        ({"cache": -1}, "cache must be at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(plain_root, options, message):
    with pytest.raises(ValueError, match=message):
        ImageFolder(str(plain_root), **options)


def test_a_run_is_scored_from_its_checkpoint_and_rerun_from_its_config(plain_root, run):
    options = ("--data.image_size", "8", "--data.channels", "1", "--trainer.max_epochs", "1")
    printed = run("fit", "--data", "ImageFolder", "--data.root", plain_root, *options)
    assert "ImageFolder (25 train, 7 test images)" in printed
    assert "(7 images)" in run("test", "--ckpt_path", "last")
    run("fit", "--config", "lightning_logs/version_0/config.yaml")
    first, second = (
        torch.load(f"lightning_logs/version_{i}/checkpoints/last.ckpt", weights_only=True)["state_dict"] for i in (0, 1)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
