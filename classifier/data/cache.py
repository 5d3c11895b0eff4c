"""Disk cache of decoded images, keyed by the names, sizes and modification times of the image files."""

import contextlib
import hashlib
import json
import math
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from classifier.data.opening import open_regular_file
from classifier.data.sources import ImagesInFiles
from classifier.files import atomic_write

FORMAT = 2  # a new number makes older files useless
OWN_NAME = re.compile(r"(\d+x\d+)-[0-9a-f]{32}\.(npz|npy|checked)")  # version 0.1 wrote .npy
OVERHEAD = 10_000  # bytes that a cache file may have beyond its pixels; ZIP and NumPy headers have about 500
CHUNK = 2**18  # bytes; the checksum is computed of each chunk while the processor's cache contains it


def get_cache_path(files: ImagesInFiles, root: Path) -> Path:
    """Return the path of the cache file for the current names, sizes and modification times of image files.

    Args:
        files: The image files, and the shape that they are decoded to.
        root: Folder that contains them; the cache file is in its subfolder `.cache`.
    """
    known: list[object] = [FORMAT, files.image_shape]
    prefix = os.path.join(root, "")  # noqa: PTH118 ends with a slash
    for path in files.paths:
        try:
            status = os.stat(path)  # noqa: PTH116 a Path doubles the time, as os.path.relpath would
            known.append((path.removeprefix(prefix), status.st_size, status.st_mtime_ns))
        except OSError as error:  # for example a dangling link, which is reported with all other unreadable files
            known.append((path.removeprefix(prefix), error.errno))
    digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    return root / ".cache" / f"{files.image_shape[0]}x{files.image_shape[1]}-{digest[:32]}.npz"


def load_decoded_images(files: ImagesInFiles, root: Path) -> Tensor:
    """Return all images (N, C, H, W), uint8, from the cache or, if it does not contain them, from the files.

    Decoded images are written to the cache, and outdated cache files are deleted, if the root can be written to.

    Args:
        files: The images.
        root: Folder that contains them.

    Raises:
        UserError: Files cannot be read.
    """
    cached = get_cache_path(files, root)
    shape = (len(files), *files.image_shape)
    images = _read_cache(cached, shape)
    if images is not None:
        return images
    images = torch.empty(shape, dtype=torch.uint8)
    for decoded, indices in files.iter_batches("decoding"):
        images[indices] = decoded
    with contextlib.suppress(OSError):  # without a cache, the next run decodes again
        if _make_folder(cached.parent):
            with atomic_write(cached) as unfinished:
                np.savez(unfinished, **{cached.stem: images.numpy()})  # type: ignore[arg-type]
            _remove_outdated(cached)
    return images


def check_images(files: ImagesInFiles, root: Path) -> None:
    """Check that every image can be decoded, unless the cache records an earlier check.

    Args:
        files: The images.
        root: Folder that contains them.

    Raises:
        UserError: Files cannot be read.
    """
    checked = get_cache_path(files, root).with_suffix(".checked")
    content = f"{checked.stem}\n".encode()
    with contextlib.suppress(OSError):
        if _is_folder(checked.parent):
            with open_regular_file(checked, len(content), follow_links=False) as file:
                if file.read() == content:
                    return
    for _ in files.iter_batches("checking"):
        pass
    with contextlib.suppress(OSError):
        if _make_folder(checked.parent):
            with atomic_write(checked) as unfinished:
                unfinished.write_bytes(content)
            _remove_outdated(checked)


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder, and not a link to one."""
    return path.is_dir() and not path.is_symlink()


def _make_folder(folder: Path) -> bool:
    """Create the cache's folder if it is missing, and return whether the cache can be written to it.

    A link, or a file of that name, was not made by the cache, so that nothing in it is read, written or deleted.
    """
    if not folder.exists() and not folder.is_symlink():
        folder.mkdir(exist_ok=True)
    if not _is_folder(folder):
        rank_zero_warn(f"{folder} is a link or not a folder, so decoded images are not cached")
        return False
    return True


def _read_cache(cached: Path, shape: tuple[int, ...]) -> Tensor | None:
    """Return the images in a cache file, or None if they are not exactly those that were written to it.

    The file is a ZIP archive whose one member contains the cache's key in its name, so that a renamed file is not
    accepted. Before memory is allocated, the sizes of the file and of the array are compared with `shape`; `zipfile`
    compares a CRC of the member with the stored one.

    Args:
        cached: The cache file, named after its key.
        shape: Shape of the images (N, C, H, W).
    """
    if not _is_folder(cached.parent):
        return None
    try:
        with (
            open_regular_file(cached, math.prod(shape) + OVERHEAD, follow_links=False) as file,
            zipfile.ZipFile(file) as archive,
            archive.open(f"{cached.stem}.npy") as member,
        ):
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0(member)
            if version != (1, 0) or header != (shape, False, np.dtype(np.uint8)):
                return None
            images = torch.empty(shape, dtype=torch.uint8)
            pixels = images.numpy().reshape(-1).data
            for start in range(0, len(pixels), CHUNK):
                pixels[start : start + CHUNK] = member.read(CHUNK)
            return None if member.read(1) else images  # the CRC is compared at the end of the member only
    except Exception:  # zipfile and NumPy can raise anything on a damaged file
        return None


def _remove_outdated(current: Path) -> None:
    """Delete the files in the cache's folder that an earlier run wrote for images of the same size.

    Args:
        current: The cache file or record of a check that has just been written; what has its key is kept.
    """
    with os.scandir(current.parent) as entries:
        for entry in entries:
            name = OWN_NAME.fullmatch(entry.name)
            same_size = name is not None and name[1] == current.name.split("-")[0]
            if same_size and Path(entry.name).stem != current.stem and entry.is_file(follow_symlinks=False):
                Path(entry.path).unlink()
