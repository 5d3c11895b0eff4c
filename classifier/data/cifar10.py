"""CIFAR10."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor

from classifier.data.opening import open_regular_file
from classifier.data.torchvision_base import TorchvisionDataModule
from classifier.errors import UserError

MAX_FILE_SIZE = 10**8  # bytes; the files of CIFAR10 have 31 MB


class CIFAR10(TorchvisionDataModule):
    """60,000 colour images of 32x32 pixels in 10 classes, 50,000 of them for training (Krizhevsky, 2009).

    Args:
        root: Folder that contains the files; missing files are downloaded to it.
        batch_size: Images per training step, on each device; above 0. The default is that of the tutorial.
        **kwargs: Further arguments of ImageDataModule.
    """

    torchvision_class = torchvision.datasets.CIFAR10
    folder = torchvision_class.base_folder
    files = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    image_shape = (3, 32, 32)
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    mean = (0.5, 0.5, 0.5)  # PyTorch's tutorial "Training a Classifier"
    std = (0.5, 0.5, 0.5)

    def __init__(self, root: str = "data", batch_size: int = 4, **kwargs: Any) -> None:
        super().__init__(root=root, batch_size=batch_size, **kwargs)

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
        return images, torch.tensor([label for batch in batches for label in batch["labels"]])

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
