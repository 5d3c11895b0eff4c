"""Decode all image files once: which are readable, their content hashes, intensity range and pixels."""

import hashlib
import json
import os

import numpy as np
import PIL
import torch
from torch import Tensor

from classifier.data.image_files.intensities import choose_max_value
from classifier.data.own_images.cache import DiskCache
from classifier.data.own_images.cache_entries import Contents, get_max_size
from classifier.data.own_images.new_entry import NewEntry
from classifier.data.own_images.scan import Scan, iterate
from classifier.data.sources import ImagesInFiles
from classifier.errors import UserError, make_printable

FORMAT = 6  # a new number makes older entries useless; needed whenever their format or how images are decoded changes


def load_contents(files: ImagesInFiles, in_memory: bool, cache: DiskCache, num_for_range: int) -> Contents:
    """Return what is known of all image files, from the cache or, if it does not contain them, from one pass over them.

    If `files.decoding.max_value` is None, one intensity range is chosen for all files with more than 8 bits per
    channel; see `choose_max_value`. Unreadable files are not an error.

    Args:
        files: The N files.
        in_memory: Whether to keep the decoded images in memory. Otherwise they stay in the cache, from which they are
            read when they are used. If the cache cannot contain them, they are not kept.
        cache: The cache, which is read and written.
        num_for_range: Number of files at the beginning of `files` whose values decide about the intensity range, from 1
            to N; these are the training images. If none of them has more than 8 bits, all files decide.

    Raises:
        UserError: The intensity range has to be chosen, but some files have integers with more than 8 bits and others
            have floating-point values. Or a file changes while it is read.
    """
    shape = (len(files), *files.image_shape)
    key, *others = get_keys(files, num_for_range)
    in_cache = not in_memory and cache.allows(get_max_size(shape))
    for known_key in (key, *others):
        contents = cache.read(known_key, shape, in_memory or in_cache, in_memory)
        # Files of 8 bits, for which no value is chosen, do not depend on it.
        if contents is None or (known_key != key and contents.max_value not in (None, files.decoding.max_value)):
            continue
        if _update_problems(contents, files):
            return contents
    if in_cache:
        return _decode_to_cache(files, cache, key, num_for_range)
    # NumPy asks for huge pages, which halves the time to fill them.
    images = torch.from_numpy(np.empty(shape, np.uint8)) if in_memory else None
    contents = decode_files(files, images, num_for_range)
    cache.write(key, contents)
    return contents


def _decode_to_cache(files: ImagesInFiles, cache: DiskCache, key: str, num_for_range: int) -> Contents:
    """Decode files to an entry of the cache, once more if another process removes it before it can be opened."""
    for is_last in (False, True):
        with cache.create(key, files.image_shape) as entry:
            contents = decode_files(files, entry, num_for_range)
            entry.finish(contents)
        contents.images = entry.open_images(len(contents.kept), report=is_last)
        if contents.images is not None or entry.written is None:
            break
    return contents


def decode_files(files: ImagesInFiles, images: Tensor | NewEntry | None, num_for_range: int) -> Contents:
    """Return what is known of all image files after decoding them.

    Args:
        files: The N files.
        images: Where the images of the M readable files are stored: the first M rows of a uint8 tensor (N, C, H, W), or
            an entry of the cache, or nowhere.
        num_for_range: See `load_contents`.
    """
    scan = Scan.start(len(files), images)
    for batch in iterate(files, "checking" if images is None else "decoding"):
        scan.add(batch)
    max_value = files.decoding.max_value
    if scan.highest and max_value is None:
        max_value = choose_range(files, scan, num_for_range)
        scan.decode_again(files, max_value)
    return scan.finish(max_value if scan.highest else None)


def get_keys(files: ImagesInFiles, num_for_range: int) -> list[str]:
    """Return the keys of the cache for the current state of image files.

    The first is that of the given decoding. If an intensity range is given, the second is that of the entry for which
    the range was chosen; `test` and a resumed run give the value that the first run has chosen.

    A key contains the absolute path, the size, and the times of the last change of content and of status of every file.
    Names and sizes alone would not do: archives often restore the times of modification, so that two folders of
    uncompressed images can agree in all of these. A folder that is moved or copied is decoded again, as are all files
    with another version of Pillow, which may decode them to other pixels.

    Args:
        files: The files, and how they are decoded.
        num_for_range: See `load_contents`.
    """
    states: list[object] = []
    for path in files.paths:
        absolute = os.path.abspath(path)  # noqa: PTH100 a Path takes 5 times as long
        try:
            status = os.stat(path)  # noqa: PTH116
            states.append((absolute, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        except OSError as error:  # for example a dangling link, which is reported with all other unreadable files
            states.append((absolute, error.errno))
    keys = []
    for max_value in dict.fromkeys((files.decoding.max_value, None)):
        decoding = files.decoding._replace(max_value=max_value)
        known = [FORMAT, PIL.__version__, decoding, num_for_range if max_value is None else None, *states]
        keys.append(hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32])
    return keys


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
