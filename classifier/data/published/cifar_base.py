"""Base class of the CIFAR datasets: batches in pickles, which are verified before they are unpickled."""

import hashlib
import pickle
from abc import abstractmethod
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor

from classifier.data.opening import open_regular_file
from classifier.data.published.torchvision_base import TorchvisionDataModule
from classifier.errors import UserError

MAX_FILE_SIZE = 10**9  # bytes; the largest file of CIFAR10 has 31 MB, that of CIFAR100 has 155 MB


class CIFARDataModule(TorchvisionDataModule):
    """Base class of the CIFAR datasets, which hold colour images of 32x32 pixels.

    A subclass also sets `torchvision_class`, `folder`, `files`, `class_names` and `label_key`.
    """

    torchvision_class: type[torchvision.datasets.CIFAR10]  # of which torchvision's CIFAR100 is a subclass
    image_shape = (3, 32, 32)
    mean = (0.5, 0.5, 0.5)  # PyTorch's tutorial "Training a Classifier"
    std = (0.5, 0.5, 0.5)

    @property
    @abstractmethod
    def label_key(self) -> str:
        """Name of the labels in the batches."""

    def read(self, split: str) -> tuple[Tensor, Tensor]:
        """Return images (N, 3, 32, 32) and labels (N,) of "train" or "test"."""
        dataset, folder = self.torchvision_class, Path(self.hparams.root, self.folder)
        listed = dataset.train_list if split == "train" else dataset.test_list
        # Unpickling can run code, so the bytes that are unpickled are those whose MD5 sum was compared.
        batches = [
            pickle.loads(read_verified(folder / name, md5), encoding="latin1")  # noqa: S301
            for name, md5 in listed
        ]
        images = torch.from_numpy(np.vstack([batch["data"] for batch in batches]).reshape(-1, *self.image_shape))
        return images, torch.tensor([label for batch in batches for label in batch[self.label_key]])

    def check_file(self, file: Path) -> None:
        """Raise an OSError or a UserError if a file cannot be read or its MD5 sum is wrong."""
        known = dict([*self.torchvision_class.train_list, *self.torchvision_class.test_list])
        known[self.torchvision_class.meta["filename"]] = self.torchvision_class.meta["md5"]
        read_verified(file, known[file.name])


def read_verified(file: Path, md5: str) -> bytes:
    """Return the contents of a file.

    Args:
        file: The file.
        md5: The MD5 sum that its contents must have, in hexadecimal digits.

    Raises:
        OSError: The file is missing, unreadable, too large, or not a regular file.
        UserError: The MD5 sum is wrong.
    """
    with open_regular_file(file, MAX_FILE_SIZE) as stream:
        content = stream.read()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise UserError("has a wrong md5 sum")
    return content
