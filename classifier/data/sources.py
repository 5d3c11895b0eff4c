"""Image sources: a common interface for images in memory and images in files."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from classifier.data.content_hashes import hash_images
from classifier.data.image_files.decoding import Decoding, ImageError, decode

HASHED_TOGETHER = 1000  # images that are in memory at the same time to be hashed
MIN_FILES_FOR_WORKERS = 1000  # fewer files are decoded by the time that worker processes have started


class FileBatch(NamedTuple):
    """Images that were read from files.

    Args:
        images: uint8 images (N, C, H, W) of the readable files.
        indices: Their N indices.
        problems: One message per unreadable file.
        highest: Highest value in each of the N files, or None for those with 8 bits per channel.
        is_float: Whether each of the N files has floating-point values.
        sizes: Width and height of each of the N images in its file.
        modes: Kind of pixels in each of the N files; see `Decoded`.
    """

    images: Tensor
    indices: list[int]
    problems: list[str]
    highest: list[float | None]
    is_float: list[bool]
    sizes: list[tuple[int, int]]
    modes: list[str]


class ImageSource(Dataset, ABC):
    """A sequence of uint8 images of the shape `image_shape` (C, H, W), indexed from 0.

    `hashes` are the content hashes of the images, an int64 tensor (N,), or None if they are not known yet.
    """

    image_shape: tuple[int, int, int]
    hashes: Tensor | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def gather(self, indices: Tensor) -> Tensor:
        """Return the images (N, C, H, W) at the given indices (N,), int64."""

    @abstractmethod
    def subset(self, indices: Tensor | range) -> "ImageSource":
        """Return a source of the images at the given indices, an int64 tensor (N,) or a range."""

    def get_range(self, start: int, stop: int) -> Tensor:
        """Return the images (stop - start, C, H, W) from `start` up to, but not including, `stop`."""
        return self.gather(torch.arange(start, stop))

    def name(self, index: int) -> str:
        """Return the name of an image for messages and captions: its file or, as in "#12", its index."""
        return f"#{index}"

    def get_hashes(self) -> Tensor:
        """Return the content hashes of all images, an int64 tensor (N,) on the CPU; see `hash_images`."""
        if self.hashes is None:
            starts = range(0, len(self), HASHED_TOGETHER)
            hashes = [hash_images(self.get_range(start, min(start + HASHED_TOGETHER, len(self)))) for start in starts]
            self.hashes = torch.cat(hashes) if hashes else torch.empty(0, dtype=torch.int64)
        return self.hashes

    def move_to(self, device: torch.device) -> torch.device:
        """Move the images to a device if they are in memory, and return the device that batches are read to."""
        return torch.device("cpu")

    def count_workers(self, num_processes: int = 1) -> int:
        """Return the number of DataLoader workers that each of `num_processes` processes should use."""
        return 0


class ImagesInMemory(ImageSource):
    """Images in one tensor.

    Args:
        images: uint8 tensor (N, C, H, W).
        names: Names of the N images; None uses their indices.
        hashes: Content hashes of the N images, int64, if they are known.
    """

    def __init__(self, images: Tensor, names: Sequence[str] | None = None, hashes: Tensor | None = None) -> None:
        self.images, self.names, self.hashes = images, names, hashes
        channels, height, width = images.shape[1:]
        self.image_shape = (channels, height, width)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def gather(self, indices: Tensor) -> Tensor:
        """Return a copy of the images (N, C, H, W) at the given indices (N,), int64, on the device of the images."""
        return self.images.index_select(0, indices)

    def get_range(self, start: int, stop: int) -> Tensor:
        """Return a view of the images (stop - start, C, H, W) from `start` up to, but not including, `stop`."""
        return self.images[start:stop]

    def subset(self, indices: Tensor | range) -> "ImagesInMemory":
        """Return a source of the images at the given indices, which is a view if they are consecutive."""
        names = self.names and [self.names[i] for i in indices]
        hashes = None if self.hashes is None else select(self.hashes, indices)
        return ImagesInMemory(select(self.images, indices), names, hashes)

    def name(self, index: int) -> str:
        """Return the name of an image or, as in "#12", its index."""
        return self.names[index] if self.names else super().name(index)

    def move_to(self, device: torch.device) -> torch.device:
        """Move the images to a device, and return the device."""
        self.images = self.images.to(device)
        return device


class ImagesInFiles(ImageSource):
    """Images in files, which are decoded on every access.

    Args:
        paths: The image files.
        decoding: How they are decoded.
        hashes: Content hashes of the N decoded images, int64, if they are known.
    """

    def __init__(self, paths: Sequence[str], decoding: Decoding, hashes: Tensor | None = None) -> None:
        self.paths, self.decoding, self.hashes = paths, decoding, hashes
        self.image_shape = decoding.image_shape

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def gather(self, indices: Tensor) -> Tensor:
        """Return the images (N, C, H, W) at the given indices (N,), int64.

        Raises:
            ImageError: An image cannot be read.
        """
        batch = self.__getitems__(indices.tolist())
        if batch.problems:
            raise ImageError(batch.problems[0])
        return batch.images

    def subset(self, indices: Tensor | range) -> "ImagesInFiles":
        """Return a source of the files at the given indices, an int64 tensor (N,) or a range."""
        hashes = None if self.hashes is None else select(self.hashes, indices)
        return ImagesInFiles([self.paths[i] for i in indices], self.decoding, hashes)

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.paths[index]

    def count_workers(self, num_processes: int = 1) -> int:
        """Return 0 for fewer than 1,000 files, otherwise the cores divided by `num_processes`, at least 1."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // num_processes) if len(self) >= MIN_FILES_FOR_WORKERS else 0

    def __getitems__(self, indices: list[int]) -> FileBatch:
        """Return the readable images among the given indices, and messages about the others."""
        decoded, readable, problems = [], [], []
        for index in indices:
            try:
                decoded.append(decode(self.paths[index], self.decoding))
                readable.append(index)
            except ImageError as error:
                problems.append(str(error))
        empty = torch.empty(0, *self.image_shape, dtype=torch.uint8)
        images = torch.stack([result.image for result in decoded]) if decoded else empty
        return FileBatch(
            images,
            readable,
            problems,
            highest=[result.highest for result in decoded],
            is_float=[result.is_float for result in decoded],
            sizes=[result.size for result in decoded],
            modes=[result.mode for result in decoded],
        )


def select(values: Tensor, indices: Tensor | range) -> Tensor:
    """Return the values at the given indices of the first dimension, as a view for a range or consecutive indices."""
    if isinstance(indices, Tensor) and len(indices) and bool((indices.diff() == 1).all()):
        indices = range(int(indices[0]), int(indices[-1]) + 1)
    return values[indices.start : indices.stop : indices.step] if isinstance(indices, range) else values[indices]


def identity_collate(batch: Any) -> Any:
    """Return a batch unchanged; this is the collate function for datasets whose `__getitems__` returns a batch."""
    return batch
