"""Images that are read from the cache on disk."""

from collections.abc import Sequence

import torch
from torch import Tensor

from classifier.data.own_images.image_rows import ImageRows
from classifier.data.sources import ImagesInMemory, ImageSource, select

MAX_ON_DEVICE = 10**9  # bytes of images that are copied to a GPU, where a batch of them costs no transfer
COPIED_TOGETHER = 1000  # images that are in memory at the same time to be copied to a GPU


class ImagesInCache(ImageSource):
    """Decoded images in an entry of the cache, which are read from the file on every access.

    Args:
        stored: The images in the entry.
        names: Names of the N images of this source.
        hashes: Content hashes of the N images, int64, if they are known.
        rows: Their rows in the entry, int64 (N,); None for all rows.
    """

    def __init__(
        self, stored: ImageRows, names: Sequence[str], hashes: Tensor | None = None, rows: Tensor | None = None
    ) -> None:
        self.stored, self.names, self.hashes = stored, names, hashes
        self.rows = torch.arange(len(stored)) if rows is None else rows
        channels, height, width = stored.image_shape
        self.image_shape = (channels, height, width)
        self.on_device: ImagesInMemory | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def gather(self, indices: Tensor) -> Tensor:
        """Return the images (N, C, H, W) at the given indices (N,), int64.

        Raises:
            UserError: The entry cannot be read, or has changed.
        """
        if self.on_device is not None:
            return self.on_device.gather(indices)
        return self.stored.read(self.rows.index_select(0, indices).tolist())

    def get_range(self, start: int, stop: int) -> Tensor:
        """Return the images (stop - start, C, H, W) from `start` up to, but not including, `stop`.

        Raises:
            UserError: The entry cannot be read, or has changed.
        """
        if self.on_device is not None:
            return self.on_device.get_range(start, stop)
        return self.stored.read(self.rows[start:stop].tolist())

    def subset(self, indices: Tensor | range) -> "ImagesInCache":
        """Return a source of the images at the given indices, an int64 tensor (N,) or a range."""
        names = [self.names[i] for i in indices]
        hashes = None if self.hashes is None else select(self.hashes, indices)
        return ImagesInCache(self.stored, names, hashes, select(self.rows, indices))

    def name(self, index: int) -> str:
        """Return the name of an image."""
        return self.names[index]

    def move_to(self, device: torch.device) -> torch.device:
        """Copy the images to a GPU if the entry has at most MAX_ON_DEVICE bytes; return the device of the batches.

        Raises:
            UserError: The entry cannot be read, or has changed.
        """
        if device.type == "cpu" or self.stored.nbytes > MAX_ON_DEVICE:
            self.on_device = None
            return torch.device("cpu")
        if self.on_device is None:
            images = torch.empty(len(self), *self.image_shape, dtype=torch.uint8, device=device)
            for start in range(0, len(self), COPIED_TOGETHER):
                stop = min(start + COPIED_TOGETHER, len(self))
                images[start:stop] = self.get_range(start, stop)
            self.on_device = ImagesInMemory(images)
        return self.on_device.move_to(device)
