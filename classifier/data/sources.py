"""Image sources: a common interface for images in memory and images in files."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from classifier.data.content_hashes import hash_images
from classifier.data.decoding import Decoding, ImageError, decode
from classifier.errors import UserError

HASHED_TOGETHER = 1000  # images that are in memory at the same time to be hashed
MIN_FILES_FOR_WORKERS = 1000  # fewer files are decoded by the time that worker processes have started


class ImageSource(Dataset, ABC):
    """A sequence of uint8 images of the shape `image_shape` (C, H, W), indexed from 0."""

    image_shape: tuple[int, int, int]

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
        starts = range(0, len(self), HASHED_TOGETHER)
        hashes = [hash_images(self.get_range(start, min(start + HASHED_TOGETHER, len(self)))) for start in starts]
        return torch.cat(hashes) if hashes else torch.empty(0, dtype=torch.int64)

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
    """

    def __init__(self, images: Tensor, names: Sequence[str] | None = None) -> None:
        self.images, self.names = images, names
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
        """Return a source of the images at the given indices; those of a range are not copied."""
        images = (
            self.images[indices.start : indices.stop : indices.step]
            if isinstance(indices, range)
            else self.images[indices]
        )
        return ImagesInMemory(images, self.names and [self.names[i] for i in indices])

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
    """

    def __init__(self, paths: Sequence[str], decoding: Decoding) -> None:
        self.paths, self.decoding = paths, decoding
        self.image_shape = decoding.image_shape

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def gather(self, indices: Tensor) -> Tensor:
        """Return the images (N, C, H, W) at the given indices (N,), int64.

        Raises:
            ImageError: An image cannot be read.
        """
        images, _, problems = self.__getitems__(indices.tolist())
        if problems:
            raise ImageError(problems[0])
        return images

    def subset(self, indices: Tensor | range) -> "ImagesInFiles":
        """Return a source of the files at the given indices, an int64 tensor (N,) or a range."""
        return ImagesInFiles([self.paths[i] for i in indices], self.decoding)

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return self.paths[index]

    def count_workers(self, num_processes: int = 1) -> int:
        """Return 0 for fewer than 1,000 files, otherwise the cores divided by `num_processes`, at least 1."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // num_processes) if len(self) >= MIN_FILES_FOR_WORKERS else 0

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, list[int], list[str]]:
        """Return the readable images (N, C, H, W), their indices, and one message per unreadable image."""
        images, readable, problems = [], [], []
        for index in indices:
            try:
                images.append(decode(self.paths[index], self.decoding).image)
                readable.append(index)
            except ImageError as error:
                problems.append(str(error))
        empty = torch.empty(0, *self.image_shape, dtype=torch.uint8)
        return torch.stack(images) if images else empty, readable, problems

    def iter_batches(self, description: str) -> Iterator[tuple[Tensor, list[int]]]:
        """Yield batches of all images (N, C, H, W) and their indices; on a terminal, show a progress bar after 2 s.

        Args:
            description: Label of the progress bar, such as "decoding".

        Raises:
            UserError: After the last batch, if any file cannot be read. The message names all of them.
        """
        failed: list[str] = []
        loader = DataLoader(self, batch_size=250, collate_fn=identity_collate, num_workers=self.count_workers())
        with tqdm(total=len(self), desc=description, unit=" images", disable=None, leave=False, delay=2) as bar:
            for images, indices, problems in loader:
                yield images, indices
                failed += problems
                bar.update(len(indices) + len(problems))
        if failed:
            raise UserError(f"repair or remove {len(failed):,} of {len(self):,} files: {'; '.join(failed)}")


def identity_collate(batch: Any) -> Any:
    """Return a batch unchanged; this is the collate function for datasets whose `__getitems__` returns a batch."""
    return batch
