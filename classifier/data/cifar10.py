"""CIFAR10."""

from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import check_integrity

from classifier.data.torchvision_base import TorchvisionDataModule


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
        # torchvision unpickles no file before the md5 sums of all files are right.
        dataset = self.torchvision_class(self.hparams.root, train=split == "train")
        return torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets)

    def describe_damage(self, file: Path) -> str | None:
        """Return a description of the damage if the MD5 checksum of a file is wrong, or None."""
        known = dict([*self.torchvision_class.train_list, *self.torchvision_class.test_list])
        known[self.torchvision_class.meta["filename"]] = self.torchvision_class.meta["md5"]
        return None if check_integrity(file, known[file.name]) else "has a wrong md5 sum"
