"""One pass over image files that decodes them, and what is recorded of every file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from classifier.data.content_hashes import hash_images
from classifier.data.image_files.thumbnails import SIDE, make_thumbnails
from classifier.data.own_images.cache_entries import Contents, Details
from classifier.data.own_images.new_entry import NewEntry
from classifier.data.sources import FileBatch, ImagesInFiles, identity_collate
from classifier.errors import UserError

DECODED_TOGETHER = 250  # files per batch of a worker process


class Statistics(NamedTuple):
    """Content hashes (N,), int64, lowest and highest values (N,), uint8, and thumbnails, uint8, of N images."""

    hashes: Tensor
    darkest: Tensor
    brightest: Tensor
    thumbnails: Tensor


class MeasuredFiles(Dataset):
    """Dataset that reads batches of files and their statistics, so that worker processes compute both."""

    def __init__(self, files: ImagesInFiles) -> None:
        self.files = files

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def __getitems__(self, indices: list[int]) -> tuple[FileBatch, Statistics]:
        """Return the readable images among the given indices, and their statistics."""
        batch = self.files.__getitems__(indices)
        pixels = batch.images.flatten(1).numpy()  # NumPy reduces bytes 20 times as fast as PyTorch
        darkest, brightest = torch.from_numpy(pixels.min(axis=1)), torch.from_numpy(pixels.max(axis=1))
        padded = batch.sizes if self.files.decoding.resize == "letterbox" else None
        return batch, Statistics(hash_images(batch.images), darkest, brightest, make_thumbnails(batch.images, padded))


def iterate(files: ImagesInFiles, description: str) -> Iterator[tuple[FileBatch, Statistics]]:
    """Yield batches of all files in order; on a terminal, show a progress bar after 2 s.

    Args:
        files: The files.
        description: Label of the progress bar, such as "decoding".
    """
    loader = DataLoader(
        MeasuredFiles(files), DECODED_TOGETHER, collate_fn=identity_collate, num_workers=files.count_workers()
    )
    with tqdm(total=len(files), desc=description, unit=" images", disable=None, leave=False, delay=2) as bar:
        for batch, statistics in loader:
            yield batch, statistics
            bar.update(len(batch.indices) + len(batch.problems))


@dataclass
class Scan:
    """Results of a pass over N files, M of which were readable so far.

    Args:
        kept: int64 (N,), the first M of which are the indices of the readable files.
        statistics: Statistics of the images, of length N as well.
        images: Where the images are stored: uint8 (N, C, H, W), an entry of the cache, or None.
        sizes: int32 (N, 2), width and height of the images in the files.
        modes: uint8 (N,), the kind of pixels in the files as an index of `mode_names`.
        mode_names: Index of every kind of pixels by its name.
        problems: One message per unreadable file.
        highest: Highest value in each file with more than 8 bits per channel, by position in `kept`.
        is_float: Whether those files have floating-point values.
        count: M.
    """

    kept: Tensor
    statistics: Statistics
    images: Tensor | NewEntry | None
    sizes: Tensor
    modes: Tensor
    mode_names: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    highest: dict[int, float] = field(default_factory=dict)
    is_float: dict[int, bool] = field(default_factory=dict)
    count: int = 0

    @classmethod
    def start(cls, size: int, images: Tensor | NewEntry | None) -> "Scan":
        """Allocate memory for the results of N = `size` files; it is not used before it is written to."""
        hashes, kept = (torch.empty(size, dtype=torch.int64) for _ in range(2))
        darkest, brightest, modes = (torch.empty(size, dtype=torch.uint8) for _ in range(3))
        thumbnails = torch.empty((size, SIDE, SIDE), dtype=torch.uint8)
        sizes = torch.empty((size, 2), dtype=torch.int32)
        return cls(kept, Statistics(hashes, darkest, brightest, thumbnails), images, sizes, modes)

    def add(self, result: tuple[FileBatch, Statistics]) -> None:
        """Append the results of the next batch."""
        batch, statistics = result
        first, self.count = self.count, self.count + len(batch.indices)
        self.kept[first : self.count] = torch.tensor(batch.indices, dtype=torch.int64)
        self._set(slice(first, self.count), batch.images, statistics)
        self.sizes[first : self.count] = torch.tensor(batch.sizes, dtype=torch.int32).view(-1, 2)
        codes = [self.mode_names.setdefault(mode, len(self.mode_names)) for mode in batch.modes]
        self.modes[first : self.count] = torch.tensor(codes, dtype=torch.uint8)
        for position, (highest, is_float) in enumerate(zip(batch.highest, batch.is_float, strict=True), first):
            if highest is not None:
                self.highest[position], self.is_float[position] = highest, is_float
        self.problems += batch.problems

    def _set(self, positions: slice | Tensor, images: Tensor, statistics: Statistics) -> None:
        """Store images and their statistics."""
        if isinstance(self.images, NewEntry):
            self.images.store(positions, images)
        elif self.images is not None:
            self.images[positions] = images
        for values, new in zip(self.statistics, statistics, strict=True):
            values[positions] = new

    def decode_again(self, files: ImagesInFiles, max_value: float) -> None:
        """Replace the images that have more than 8 bits per channel by those of the given intensity range.

        Raises:
            UserError: A file is no longer readable.
        """
        positions = torch.tensor(list(self.highest))
        paths = [files.paths[index] for index in self.kept[positions].tolist()]
        again = ImagesInFiles(paths, files.decoding._replace(max_value=max_value))
        for batch, statistics in iterate(again, "decoding"):
            if batch.problems:
                raise UserError(f"the files have changed while they were read: {batch.problems[0]}")
            self._set(positions[batch.indices], batch.images, statistics)

    def finish(self, max_value: float | None) -> Contents:
        """Return the contents, with the images if these are in memory; they are not copied."""
        hashes, darkest, brightest, thumbnails = (values[: self.count] for values in self.statistics)
        details = Details(self.sizes[: self.count], self.modes[: self.count], thumbnails, list(self.mode_names))
        return Contents(
            kept=self.kept[: self.count],
            hashes=hashes,
            problems=self.problems,
            max_value=max_value,
            darkest=int(darkest.min()) if self.count else 255,
            brightest=int(brightest.max()) if self.count else 0,
            images=self.images[: self.count] if isinstance(self.images, Tensor) else None,
            details=details,
        )
