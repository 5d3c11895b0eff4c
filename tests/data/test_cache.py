"""The cache of decoded images on disk."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifier import ImageFolder
from classifier.data.decoding import read_image

NUM_FILES = 51  # of `split_root`


def load_images(root: Path, **options) -> dict[str, torch.Tensor]:
    """Return the images of every split of a new ImageFolder."""
    data = ImageFolder(str(root), image_size=8, **options)
    data.setup("fit")
    return {split: dataset[:][0] for split, dataset in data.datasets.items()}


@pytest.fixture
def decoded(monkeypatch):
    """Return the list of the files that were decoded; it grows with every one."""
    paths = []

    def record_and_read(path, image_shape):
        paths.append(path)
        return read_image(path, image_shape)

    monkeypatch.setattr("classifier.data.sources.read_image", record_and_read)
    return paths


def test_unchanged_files_are_decoded_only_once(split_root, decoded):
    first = load_images(split_root)
    assert len(decoded) == NUM_FILES
    decoded.clear()
    second = load_images(split_root)
    assert not decoded
    assert all(torch.equal(first[split], second[split]) for split in first)


def test_files_are_decoded_again_after_a_change_of_content_time_or_image_shape(split_root, decoded):
    load_images(split_root)
    decoded.clear()
    Image.new("RGB", (20, 20), "white").save(split_root / "train/cat/00.png")
    changed = load_images(split_root)
    assert len(decoded) == NUM_FILES
    assert (changed["train"][24] == 255).all()
    os.utime(split_root / "train/cat/01.jpg", (0, 0))
    load_images(split_root)
    assert len(decoded) == 2 * NUM_FILES
    assert len(list((split_root / ".cache").iterdir())) == 1

    load_images(split_root, channels=1)
    assert len(decoded) == 3 * NUM_FILES
    load_images(split_root)
    load_images(split_root, channels=1)
    assert len(decoded) == 3 * NUM_FILES


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-5]),
        lambda file: file.write_bytes(b""),
        lambda file: np.save(file, np.array([Path()], dtype=object)),
        lambda file: np.save(file, np.zeros((NUM_FILES, 3, 8, 8))),
    ],
    ids=["truncated", "empty", "pickle", "wrong type"],
)
def test_a_damaged_cache_is_replaced_and_code_in_it_is_not_run(split_root, damage):
    first = load_images(split_root)
    (file,) = (split_root / ".cache").iterdir()
    intact = file.read_bytes()
    damage(file)
    again = load_images(split_root)
    assert all(torch.equal(first[split], again[split]) for split in first)
    assert file.read_bytes() == intact


def test_images_are_read_from_a_folder_that_cannot_be_written(split_root):
    (split_root / ".cache").touch()
    assert load_images(split_root)["test"].shape == (15, 3, 8, 8)
    assert load_images(split_root, cache=0)["test"].shape == (15, 3, 8, 8)


def test_files_that_stay_on_disk_are_checked_only_until_they_change(split_root, decoded):
    ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
    assert len(decoded) == NUM_FILES
    ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
    assert len(decoded) == NUM_FILES
    os.utime(split_root / "train/cat/01.jpg", (0, 0))
    ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
    assert len(decoded) == 2 * NUM_FILES
