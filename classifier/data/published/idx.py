"""Base class of the datasets in four IDX files: images and labels for training and for testing."""

import math
import os
import zlib
from abc import abstractmethod
from pathlib import Path
from typing import TypeAlias

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from classifier.data.opening import open_regular_file
from classifier.data.published.torchvision_base import TorchvisionDataModule
from classifier.errors import UserError, make_printable

MAX_FILE_SIZE = 10**9  # bytes; the largest file of MNIST and FashionMNIST has 47 MB
Published: TypeAlias = dict[str, tuple[tuple[int, ...], int]]


class IDXDataModule(TorchvisionDataModule):
    """Base class of the datasets in four IDX files, which hold grey images of 28x28 pixels and their labels.

    A subclass also sets `torchvision_class`, `folder`, `files`, `class_names` and `published`.
    """

    image_shape = (1, 28, 28)
    dark_background = True

    @property
    @abstractmethod
    def published(self) -> Published:
        """Shape and CRC-32 of every published file, by its name."""

    def read(self, split: str) -> tuple[Tensor, Tensor]:
        """Return images (N, 1, 28, 28) and labels (N,) of "train" or "test"."""
        prefix = "train" if split == "train" else "t10k"
        images, labels = (self._read_file(f"{prefix}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
        return images.unsqueeze(1), labels.long()

    def _read_file(self, name: str) -> Tensor:
        """Return the values of a file; warn if it has the size of the published file, but not its contents."""
        file = Path(self.hparams.root, self.folder, name)
        values, checksum = read_idx(file, dimensions=3 if "images" in name else 1)
        shape, published_checksum = self.published[name]
        if values.shape == shape and checksum != published_checksum:
            rank_zero_warn(
                f"{make_printable(file)} is not the published file of {type(self).__name__}, although it has its size. "
                "Unless you replaced it on purpose, delete it, and the next run downloads it again"
            )
        return values

    def check_file(self, file: Path) -> None:
        """Raise an OSError or a UserError if a file is not a valid IDX file, or has a label that is out of range."""
        values, _ = read_idx(file, dimensions=3 if "images" in file.name else 1)
        if values.ndim == 1 and (highest := int(values.max())) >= self.num_classes:
            raise UserError(f"has the label {highest}, beyond 0 to {self.num_classes - 1}")


def read_idx(file: Path, dimensions: int) -> tuple[Tensor, int]:
    """Read an IDX file of unsigned bytes.

    The format is a 4-byte magic number, the size of every dimension as a 4-byte integer, and one byte per value. The
    size of the file is compared with the header before memory is allocated.

    Args:
        file: The IDX file.
        dimensions: Number of dimensions that it must have, above 0.

    Returns:
        The values, a uint8 tensor with the given number of dimensions, and the CRC-32 of the file.

    Raises:
        OSError: The file is missing, unreadable, too large, or not a regular file.
        UserError: The contents are not those that the header announces.
    """
    with open_regular_file(file, MAX_FILE_SIZE) as stream:
        header = stream.read(4 + 4 * dimensions)
        if header[:4] != bytes((0, 0, 8, dimensions)):
            raise UserError(f"is not an IDX file: it begins with {header[:16]!r}")
        sizes = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
        size = os.fstat(stream.fileno()).st_size - len(header)
        if size != math.prod(sizes):
            raise UserError(f"has {size:,} values where its header announces {' x '.join(map(str, sizes))}")
        if size == 0:
            raise UserError("has no values")
        values = torch.empty(sizes, dtype=torch.uint8)
        if stream.readinto(values.numpy().reshape(-1).data) != size:
            raise UserError("changed while it was read")
    return values, zlib.crc32(values.numpy().data, zlib.crc32(header))
