"""Disk cache of decoded images, keyed by the names, sizes and modification times of the image files."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from classifier.data.sources import ImagesInFiles
from classifier.files import atomic_write

FORMAT = 1  # a new number makes older files useless


def get_cache_path(files: ImagesInFiles, root: Path) -> Path:
    """Return the path of the cache file for the current names, sizes and modification times of image files.

    Args:
        files: The image files, and the shape that they are decoded to.
        root: Folder that contains them; the cache file is in its subfolder `.cache`.
    """
    known: list[object] = [FORMAT, files.image_shape]
    for path in files.paths:
        status = Path(path).stat()
        known.append((os.path.relpath(path, root), status.st_size, status.st_mtime_ns))
    digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    return root / ".cache" / f"{files.image_shape[0]}x{files.image_shape[1]}-{digest[:32]}.npy"


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
    with contextlib.suppress(OSError, ValueError, EOFError):
        array = np.load(cached, allow_pickle=False)
        if array.shape == shape and array.dtype == np.uint8:
            return torch.from_numpy(array)
    images = torch.empty(shape, dtype=torch.uint8)
    for decoded, indices in files.iter_batches("decoding"):
        images[indices] = decoded
    with contextlib.suppress(OSError):  # without a cache, the next run decodes again
        cached.parent.mkdir(exist_ok=True)
        with atomic_write(cached) as unfinished:
            np.save(unfinished, images.numpy())
        for older in set(cached.parent.glob(f"{cached.name.split('-')[0]}-*.npy")) - {cached}:
            older.unlink()
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
    if checked.is_file():
        return
    for _ in files.iter_batches("checking"):
        pass
    with contextlib.suppress(OSError):
        checked.parent.mkdir(exist_ok=True)
        checked.touch()
