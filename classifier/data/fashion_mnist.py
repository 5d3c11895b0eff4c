"""FashionMNIST."""

import math
from pathlib import Path

import torchvision
from torch import Tensor

from classifier.data.torchvision_base import TorchvisionDataModule


class FashionMNIST(TorchvisionDataModule):
    """70,000 grey images of clothes, 28x28 pixels, 10 classes, 60,000 for training (Xiao, Rasul and Vollgraf, 2017)."""

    torchvision_class = torchvision.datasets.FashionMNIST
    folder = "FashionMNIST/raw"
    files = tuple(Path(name).stem for name, _ in torchvision_class.resources)
    image_shape = (1, 28, 28)
    class_names = tuple(torchvision_class.classes)
    dark_background = True

    def read(self, split: str) -> tuple[Tensor, Tensor]:
        """Return images (N, 1, 28, 28) and labels (N,) of "train" or "test"."""
        dataset = self.torchvision_class(self.hparams.root, train=split == "train")
        return dataset.data.unsqueeze(1), dataset.targets

    def describe_damage(self, file: Path) -> str | None:
        """Return a description of the damage to an IDX file, or None if there is none.

        The format is a 4-byte magic number, the size of every dimension as a 4-byte integer, and one byte per value.
        """
        dimensions = 3 if "images" in file.name else 1
        content = file.read_bytes()
        header, values = content[: 4 + 4 * dimensions], content[4 + 4 * dimensions :]
        if header[:4] != bytes((0, 0, 8, dimensions)):
            return f"is not an IDX file: it begins with {header[:16]!r}"
        sizes = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
        if len(values) != math.prod(sizes):
            return f"has {len(values):,} values where its header announces {' x '.join(map(str, sizes))}"
        if dimensions == 1 and (highest := max(values, default=0)) >= self.num_classes:
            return f"has the label {highest}, beyond 0 to {self.num_classes - 1}"
        return None
