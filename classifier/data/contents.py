"""Decode all image files once: which are readable, their content hashes, intensity range and pixels."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import PIL
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from classifier.data.cache import DiskCache
from classifier.data.cache_entries import Contents, Details
from classifier.data.content_hashes import hash_images
from classifier.data.intensities import choose_max_value
from classifier.data.sources import FileBatch, ImagesInFiles, identity_collate
from classifier.data.thumbnails import SIDE, make_thumbnails
from classifier.errors import UserError, make_printable

FORMAT = 4  # a new number makes older entries of the cache useless; needed whenever images are decoded differently
DECODED_TOGETHER = 250  # files per batch of a worker process


def load_contents(files: ImagesInFiles, in_memory: bool, cache: DiskCache, num_for_range: int) -> Contents:
    """Return what is known of all image files, from the cache or, if it does not contain them, from one pass over them.

    If `files.decoding.max_value` is None, one intensity range is chosen for all files with more than 8 bits per
    channel; see `choose_max_value`. Unreadable files are not an error.

    Args:
        files: The N files.
        in_memory: Whether to keep the decoded images.
        cache: The cache, which is read and written.
        num_for_range: Number of files at the beginning of `files` whose values decide about the intensity range, from 1
            to N; these are the training images. If none of them has more than 8 bits, all files decide.

    Raises:
        UserError: The intensity range has to be chosen, but some files have integers with more than 8 bits and others
            have floating-point values. Or a file changes while it is read.
    """
    key = get_key(files, num_for_range)
    contents = cache.read(key, (len(files), *files.image_shape), in_memory)
    if contents is not None and _update_problems(contents, files):
        return contents
    scan = Scan.start(files, in_memory)
    for batch in iterate(files, "decoding" if in_memory else "checking"):
        scan.add(batch)
    max_value = files.decoding.max_value
    if scan.highest and max_value is None:
        max_value = choose_range(files, scan, num_for_range)
        scan.decode_again(files, max_value)
    contents = scan.finish(max_value if scan.highest else None)
    cache.write(key, contents)
    return contents


def get_key(files: ImagesInFiles, num_for_range: int) -> str:
    """Return the key of the cache for the current state of image files.

    It contains the absolute path, the size, and the times of the last change of content and of status of every file.
    Names and sizes alone would not do: archives often restore the times of modification, so that two folders of
    uncompressed images can agree in all of these. A folder that is moved or copied is decoded again, as are all files
    with another version of Pillow, which may decode them to other pixels.

    Args:
        files: The files, and how they are decoded.
        num_for_range: See `load_contents`.
    """
    decoding = files.decoding
    known: list[object] = [FORMAT, PIL.__version__, decoding, num_for_range if decoding.max_value is None else None]
    for path in files.paths:
        absolute = os.path.abspath(path)  # noqa: PTH100 a Path takes 5 times as long
        try:
            status = os.stat(path)  # noqa: PTH116
            known.append((absolute, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        except OSError as error:  # for example a dangling link, which is reported with all other unreadable files
            known.append((absolute, error.errno))
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]


def _update_problems(contents: Contents, files: ImagesInFiles) -> bool:
    """Try the unreadable files again, set `contents.problems`, and return whether all of them are still unreadable.

    A file can become readable without a change of its own, for example by permissions of its folder or a new decoder.
    """
    is_missing = torch.ones(len(files), dtype=torch.bool)
    is_missing[contents.kept] = False
    for batch, _ in iterate(files.subset(is_missing.nonzero().view(-1)), "checking"):
        contents.problems += batch.problems
        if batch.indices:
            return False
    return True


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
        images: uint8 (N, C, H, W), or None if images are not kept.
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
    images: Tensor | None
    sizes: Tensor
    modes: Tensor
    mode_names: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    highest: dict[int, float] = field(default_factory=dict)
    is_float: dict[int, bool] = field(default_factory=dict)
    count: int = 0

    @classmethod
    def start(cls, files: ImagesInFiles, in_memory: bool) -> "Scan":
        """Allocate memory for the results; it is not used before it is written to."""
        size = len(files)
        hashes, kept = (torch.empty(size, dtype=torch.int64) for _ in range(2))
        darkest, brightest, modes = (torch.empty(size, dtype=torch.uint8) for _ in range(3))
        thumbnails = torch.empty((size, SIDE, SIDE), dtype=torch.uint8)
        # NumPy asks for huge pages, which halves the time to fill them.
        images = torch.from_numpy(np.empty((size, *files.image_shape), np.uint8)) if in_memory else None
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
        if self.images is not None:
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
        """Return the contents; the images are not copied."""
        hashes, darkest, brightest, thumbnails = (values[: self.count] for values in self.statistics)
        details = Details(self.sizes[: self.count], self.modes[: self.count], thumbnails, list(self.mode_names))
        return Contents(
            kept=self.kept[: self.count],
            hashes=hashes,
            problems=self.problems,
            max_value=max_value,
            darkest=int(darkest.min()) if self.count else 255,
            brightest=int(brightest.max()) if self.count else 0,
            images=None if self.images is None else self.images[: self.count],
            details=details,
        )


def choose_range(files: ImagesInFiles, scan: Scan, num_for_range: int) -> float:
    """Return the value that becomes white in files with more than 8 bits per channel, at least one of which was read.

    Raises:
        UserError: Some files have integers, and others floating-point values.
    """
    kinds = {is_float: files.paths[int(scan.kept[position])] for position, is_float in scan.is_float.items()}
    if len(kinds) > 1:
        raise UserError(
            f"{make_printable(kinds[True])} has floating-point values, but {make_printable(kinds[False])} has integers "
            "of 16 bits: convert one kind of files to the other, or give max_value"
        )
    deciding = [value for position, value in scan.highest.items() if scan.kept[position] < num_for_range]
    return choose_max_value(max(deciding or scan.highest.values()), next(iter(kinds)))
