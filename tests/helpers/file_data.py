"""A data module whose images have the names of files, as those of a folder or a table have."""

import functools
from pathlib import Path

import torch

from classifier import Digits
from classifier.data.dataset import ImageDataset
from classifier.data.sources import ImagesInMemory

read_digits = functools.cache(Digits().read)
COUNTS = {"train": 200, "val": 60, "test": 40}


class FileDigits(Digits):
    """Digits with file names, whose hashes the checkpoint records. Class attributes change which images are used."""

    splits = ("train", "val", "test")
    indices: dict[str, list[int]] = {}  # noqa: RUF012 of the training images of Digits, by split
    folder = "photos"
    relabelled = 0  # number of training images with another label

    def read(self, split):
        first = {"train": 0, "val": 1000, "test": 1200}[split]
        indices = self.indices.get(split, list(range(first, first + COUNTS[split])))
        images, labels = read_digits("train")
        labels = labels[indices].clone()
        if split == "train":
            labels[: self.relabelled] = (labels[: self.relabelled] + 1) % 10
        paths = [str(Path(self.folder, split, f"{index:04}.png")) for index in indices]
        return ImagesInMemory(images[indices], paths), labels

    def setup(self, stage):
        super().setup(stage)
        if "train" not in self.datasets:
            source, labels = self._read_checked("train")
            train = ImageDataset(source, labels, "train")
        else:
            train = self.datasets["train"]
        self.training_images = train.source.get_hashes().sort().values


class TrainValDigits(FileDigits):
    """The same images without test images."""

    splits = ("train", "val")


class TrainOnlyDigits(FileDigits):
    """The same images without an evaluation."""

    splits = ("train",)


def make_data(cls=FileDigits, root="photos", **attributes):
    """Return a data module with some class attributes changed."""
    data = cls(root=root, batch_size=50)
    for name, value in attributes.items():
        setattr(data, name, value)
    return data


def list_hashes(indices):
    """Return the sorted content hashes of training images of Digits."""
    images, _ = read_digits("train")
    return torch.sort(ImagesInMemory(images[indices]).get_hashes()).values
