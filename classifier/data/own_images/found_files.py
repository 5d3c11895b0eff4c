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
    """

    files: ImagesInFiles
    labels: np.ndarray
    splits: np.ndarray
    unused: UnusedFiles


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
    return FoundFiles(ImagesInFiles(paths, decoding), labels, splits[indices], found.unused)


def make_source(files: ImagesInFiles, contents: Contents) -> ImageSource:
    """Return the source of the readable images, with the intensity range that was chosen for all of them."""
    paths = [files.paths[i] for i in contents.kept.tolist()]
    if isinstance(contents.images, ImageRows):
        return ImagesInCache(contents.images, paths, contents.hashes)
    if contents.images is not None:
        return ImagesInMemory(contents.images, names=paths, hashes=contents.hashes)
    return ImagesInFiles(paths, files.decoding._replace(max_value=contents.max_value), hashes=contents.hashes)
