"""Labelled image files in the order of their splits, before any of them is decoded."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from classifier.data.image_files.decoding import Decoding
from classifier.data.own_images.cache_entries import Contents
from classifier.data.own_images.cached_source import ImagesInCache
from classifier.data.own_images.image_rows import ImageRows
from classifier.data.own_images.listing import LabelledFiles, UnusedFiles
from classifier.data.sources import ImagesInFiles, ImagesInMemory, ImageSource


class FoundFiles(NamedTuple):
    """N labelled image files, ordered by split.

    Args:
        files: The files and how they are decoded.
        labels: Class indices (N,), int64.
        splits: "train", "val" or "test" for every file (N,).
        unused: Files that were found and are not used.
        lines: Lines of the table on which the images are listed (N,), int64, or an empty array if there is no table.
    """

    files: ImagesInFiles
    labels: np.ndarray
    splits: np.ndarray
    unused: UnusedFiles
    lines: np.ndarray


def order_files(found: LabelledFiles, splits: np.ndarray, order: Sequence[str], decoding: Decoding) -> FoundFiles:
    """Return the files of some splits, one split after the other.

    Args:
        found: N files.
        splits: Split of every file (N,).
        order: The splits to return.
        decoding: How the files are decoded.
    """
    indices = np.concatenate([np.flatnonzero(splits == split) for split in order])
    paths = [found.paths[i] for i in indices.tolist()]
    labels = np.array(found.labels, dtype=np.int64)[indices]
    lines = np.array(found.lines, dtype=np.int64)
    if len(lines):
        lines = lines[indices]
    return FoundFiles(ImagesInFiles(paths, decoding), labels, splits[indices], found.unused, lines)


def locate_problems(found: FoundFiles, contents: Contents, where: str) -> list[str]:
    """Return the messages about unreadable files, for a table with the lines on which the files are listed.

    Args:
        found: N files.
        contents: What is known of them, with one message per unreadable file in the order of the files.
        where: The path of the table.
    """
    if not len(found.lines):
        return contents.problems
    lines = np.delete(found.lines, contents.kept.numpy()).tolist()
    return [f"{where}, line {line}: {text}" for line, text in zip(lines, contents.problems, strict=True)]


def make_source(files: ImagesInFiles, contents: Contents) -> ImageSource:
    """Return the source of the readable images, with the intensity range that was chosen for all of them."""
    paths = [files.paths[i] for i in contents.kept.tolist()]
    if isinstance(contents.images, ImageRows):
        return ImagesInCache(contents.images, paths, contents.hashes)
    if contents.images is not None:
        return ImagesInMemory(contents.images, names=paths, hashes=contents.hashes)
    return ImagesInFiles(paths, files.decoding._replace(max_value=contents.max_value), hashes=contents.hashes)
