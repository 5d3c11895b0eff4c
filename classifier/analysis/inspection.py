"""Inspect a dataset: images per class and split, files, duplicates, leaks and conflicting labels."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from classifier.analysis.duplicates import find_near_duplicates
from classifier.analysis.file_facts import FileFacts, describe_files
from classifier.data.base import ImageDataModule
from classifier.data.image_files.thumbnails import make_thumbnails
from classifier.data.own_images.file_base import FileDataModule
from classifier.data.own_images.found_files import make_source
from classifier.data.sources import ImageSource
from classifier.data.splits import SPLITS
from classifier.errors import SettingError, one_line

MEASURED_TOGETHER = 250  # images that are in memory at the same time


@dataclass(kw_only=True)
class Inspection:
    """What is known of a dataset with N readable images.

    Args:
        name: Name of the dataset, and of the folder or the file that it is in.
        class_names: Names of the classes in the order of their labels.
        image_shape: Channels, height and width of the images.
        labels: Class indices (N,), int64.
        splits: "train", "val" or "test" for every image (N,).
        sources: The images, by split, in the order of `labels`.
        hashes: Content hashes (N,), int64.
        near: Pairs of near duplicates, int64 (P, 2), without those that are the same pixel for pixel. Of several images
            with the same pixels, only the first is compared with others.
        near_is_complete: Whether all near duplicates were found. The search ends early if there are very many.
        darkest: Lowest value of all pixels, from 0 to 255.
        brightest: Highest value of all pixels, from 0 to 255.
        max_value: Value that became white in files with more than 8 bits per channel, or None.
        files: Facts about the files, or None for images that are not in files of their own.
        unreadable: One message per file that cannot be decoded.
        unused: Names of the files that are not used, by the reason.
        split_problem: Why no images could be held out for testing or validation, or None. All images that are not
            assigned to a split then count as training images.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    labels: np.ndarray
    splits: np.ndarray
    sources: dict[str, ImageSource]
    hashes: np.ndarray
    near: np.ndarray
    near_is_complete: bool
    darkest: int
    brightest: int
    max_value: float | None = None
    files: FileFacts | None = None
    unreadable: list[str] = field(default_factory=list)
    unused: dict[str, list[str]] = field(default_factory=dict)
    split_problem: str | None = None

    def _locate(self, index: int) -> tuple[ImageSource, int]:
        """Return the source of an image, and the index of the image in it."""
        for source in self.sources.values():
            if index < len(source):
                return source, index
            index -= len(source)
        raise IndexError(index)

    def get_name(self, index: int) -> str:
        """Return the name of an image: its file or, as in "test #12", its index in a split.

        Args:
            index: Index of the image, from 0 to N - 1.

        Raises:
            IndexError: There is no such image.
        """
        source, position = self._locate(index)
        name = source.name(position)
        return f"{self.splits[index]} {name}" if name == f"#{position}" else name

    def get_images(self, indices: list[int]) -> Tensor:
        """Return images, uint8 (len(indices), C, H, W), on the CPU.

        Args:
            indices: Indices of the images, from 0 to N - 1.

        Raises:
            IndexError: There is no such image.
            UserError: A file can no longer be read.
        """
        located = [self._locate(index) for index in indices]
        return torch.cat([source.gather(torch.tensor([position])) for source, position in located]).cpu()


def inspect_data(data: ImageDataModule) -> Inspection:
    """Inspect a dataset. Files are decoded once, and further calls use the cache of decoded images.

    Files that cannot be decoded, and classes too small to be split, are described and are not an error.

    Args:
        data: Any dataset. It need not be prepared or set up.

    Returns:
        What is known of the dataset; `find_problems` returns what is wrong with it.

    Raises:
        UserError: Files cannot be found, or the images and labels of a dataset of your own do not fit together.
    """
    return inspect_files(data) if isinstance(data, FileDataModule) else inspect_datasets(data)


def inspect_files(data: FileDataModule) -> Inspection:
    """Inspect a dataset of image files; see `inspect_data`.

    Args:
        data: The dataset.

    Returns:
        What is known of the dataset, including its files.

    Raises:
        UserError: Files cannot be found.
    """
    problem = None
    try:
        found = data.find_files()
    except SettingError as error:
        problem, found = one_line(error), data.find_files(hold_out=False)
    contents = data.decode_files(found)
    kept = contents.kept.numpy()
    splits, source = found.splits[kept], make_source(found.files, contents)
    ends = np.cumsum([int((splits == split).sum()) for split in SPLITS])
    sources = {
        split: source.subset(range(end - int((splits == split).sum()), end))
        for split, end in zip(SPLITS, ends.tolist(), strict=True)
    }
    details, hashes = contents.details, contents.hashes.numpy()
    thumbnails = np.empty((0, 16, 16), np.uint8) if details is None else details.thumbnails.numpy()
    near, near_is_complete = find_near(hashes, thumbnails)
    return Inspection(
        name=f"{type(data).__name__} {data.describe()}",
        class_names=data.class_names,
        image_shape=data.image_shape,
        labels=found.labels[kept],
        splits=splits,
        sources={split: part for split, part in sources.items() if len(part)},
        hashes=hashes,
        near=near,
        near_is_complete=near_is_complete,
        darkest=contents.darkest,
        brightest=contents.brightest,
        max_value=contents.max_value,
        files=describe_files(contents, data.image_shape) if len(kept) else None,
        unreadable=contents.problems,
        unused=found.unused.names,
        split_problem=problem,
    )


def inspect_datasets(data: ImageDataModule) -> Inspection:
    """Inspect a dataset by the images of its splits; see `inspect_data`.

    Args:
        data: The dataset, whose images are read in parts of `MEASURED_TOGETHER`.

    Returns:
        What is known of the dataset.

    Raises:
        UserError: Its images and labels do not fit together, or its files are missing.
    """
    data.prepare_data()
    for stage in (["fit"] if "train" in data.splits else []) + (["test"] if "test" in data.splits else []):
        data.setup(stage)
    sources = {split: data.datasets[split].source for split in SPLITS if split in data.datasets}
    labels = [data.datasets[split].labels.cpu().numpy() for split in sources]
    hashes = np.concatenate([source.get_hashes().numpy() for source in sources.values()])
    parts = []
    for source in sources.values():
        for start in range(0, len(source), MEASURED_TOGETHER):
            images = source.get_range(start, min(start + MEASURED_TOGETHER, len(source))).cpu()
            parts.append((make_thumbnails(images).numpy(), int(images.min()), int(images.max())))
    thumbnails, lowest, highest = zip(*parts, strict=True)
    near, near_is_complete = find_near(hashes, np.concatenate(thumbnails))
    return Inspection(
        name=type(data).__name__,
        class_names=data.class_names,
        image_shape=data.image_shape,
        labels=np.concatenate(labels),
        splits=np.repeat(list(sources), [len(source) for source in sources.values()]),
        sources=sources,
        hashes=hashes,
        near=near,
        near_is_complete=near_is_complete,
        darkest=min(lowest),
        brightest=max(highest),
    )


def find_near(hashes: np.ndarray, thumbnails: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return near duplicates among the first images of every content hash; see `find_near_duplicates`.

    Args:
        hashes: Content hashes (N,), int64.
        thumbnails: uint8 (N, SIDE, SIDE); see `make_thumbnails`.

    Returns:
        Pairs of indices, int64 (P, 2), and whether the search was complete.
    """
    _, first = np.unique(hashes, return_index=True)
    first = np.sort(first)
    pairs, is_complete = find_near_duplicates(thumbnails[first])
    return first[pairs], is_complete
