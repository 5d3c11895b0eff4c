"""What is known of image files after they were decoded, and its file format in the cache."""

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from classifier.data.image_files.thumbnails import SIDE
from classifier.data.opening import open_regular_file
from classifier.data.own_images.image_rows import CHUNK, ImageRows, get_bytes

OVERHEAD = 10_000  # bytes that an entry may have beyond its arrays; ZIP and NumPy headers have about 1,000


class Details(NamedTuple):
    """What `inspect` describes of M readable image files.

    Args:
        sizes: Width and height of the images in the files, int32 (M, 2).
        modes: Kind of pixels in the files as an index of `mode_names`, uint8 (M,).
        thumbnails: uint8 (M, SIDE, SIDE); see `make_thumbnails`.
        mode_names: Names of the kinds, such as "RGB"; see `Decoded`.
    """

    sizes: Tensor
    modes: Tensor
    thumbnails: Tensor
    mode_names: list[str]


@dataclass
class Contents:
    """What is known of N image files after they were decoded, M of which are readable.

    Args:
        kept: Indices of the readable files in increasing order, int64 (M,).
        hashes: Content hashes of the readable images, int64 (M,); see `hash_images`.
        problems: One message per unreadable file.
        max_value: Value that became white in the files with more than 8 bits per channel; None if there are none.
        darkest: Lowest value of all decoded pixels, from 0 to 255; 255 without images.
        brightest: Highest value of all decoded pixels, from 0 to 255; 0 without images.
        images: The readable images: a uint8 tensor (M, C, H, W), an entry of the cache that contains them, or None if
            they stay in the files.
        details: What else is known of the readable files, or None.
    """

    kept: Tensor
    hashes: Tensor
    problems: list[str]
    max_value: float | None
    darkest: int
    brightest: int
    images: Tensor | ImageRows | None = None
    details: Details | None = None

    def get_arrays(self) -> dict[str, Tensor]:
        """Return all tensors except the images by their names in an entry."""
        arrays = {"kept": self.kept, "hashes": self.hashes}
        if self.details is not None:
            details = self.details
            arrays.update(sizes=details.sizes, modes=details.modes, thumbnails=details.thumbnails)
        return arrays


def get_max_size(shape: Sequence[int]) -> int:
    """Return the size in bytes that an entry may have.

    Args:
        shape: Number of files, and channels, height and width of the decoded images.
    """
    num_files, *image_shape = shape
    # Bytes for an image, for its index and hash, and for its details.
    return num_files * (math.prod(image_shape) + 16 + 9 + SIDE**2) + OVERHEAD


def append_archive(file: IO[bytes], key: str, contents: Contents, images: dict[str, Any] | None) -> None:
    """Complete an entry of the cache: a ZIP archive whose members contain the key in their names, after the images.

    A ZIP archive may be appended to anything. The images are no member of it, because they can be replaced while they
    are written, and because they are read without the archive.

    Args:
        file: The file, opened for writing, at the end of the images.
        key: Key of the entry.
        contents: What to write, except `images` and `problems`.
        images: What `describe_images` returns of the images, or None if the entry has none.
    """
    values: dict[str, Any] = {
        "max_value": contents.max_value,
        "darkest": contents.darkest,
        "brightest": contents.brightest,
        "images": images,
    }
    if contents.details is not None:
        values["mode_names"] = contents.details.mode_names
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{key}/values.json"), json.dumps(values))
        for name, tensor in contents.get_arrays().items():
            array = tensor.numpy()
            # A ZipInfo without a time makes equal contents equal files.
            with archive.open(zipfile.ZipInfo(f"{key}/{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                stored = get_bytes(array)
                for start in range(0, len(stored), CHUNK):
                    member.write(stored[start : start + CHUNK])


def read_entry(
    path: Path, key: str, shape: tuple[int, int, int, int], with_images: bool, in_memory: bool = True
) -> Contents | None:
    """Return the contents of an entry, without problems, or None if they are not exactly those that were written.

    The sizes of the file and of the arrays are compared with `shape` before memory is allocated. The CRCs of the images
    and of every member of the archive are compared with the stored ones; `zipfile` does the latter. A renamed entry is
    not accepted, because the members contain the key in their names.

    Args:
        path: The file; links are not followed.
        key: Key of the entry.
        shape: Number of files, and channels, height and width of the decoded images.
        with_images: Whether the images are needed; an entry that lacks them is then not accepted.
        in_memory: Whether to read the images, or to leave them in the file.
    """
    num_files, limit = shape[0], get_max_size(shape)
    try:
        with (
            open_regular_file(path, limit, follow_links=False) as file,
            zipfile.ZipFile(file) as archive,
        ):
            with archive.open(f"{key}/values.json") as member:
                values = json.loads(member.read(OVERHEAD))
            mode_names, stored = values.pop("mode_names", None), values.pop("images")
            _check_values(values)
            kept = _read_array(archive, f"{key}/kept.npy", (None,), np.int64, num_files)
            hashes = _read_array(archive, f"{key}/hashes.npy", (len(kept),), np.int64, num_files)
            details = None if mode_names is None else _read_details(archive, key, mode_names, len(kept))
        images: Tensor | ImageRows | None = None
        if with_images:
            images = _read_images(ImageRows(path, len(kept), shape[1:], limit), stored, in_memory)
        ordered = bool((kept[1:] > kept[:-1]).all()) and (not len(kept) or (kept[0] >= 0 and kept[-1] < num_files))
        return Contents(kept, hashes, [], images=images, details=details, **values) if ordered else None
    except Exception:  # zipfile, json and NumPy can raise anything on a damaged file
        return None


def describe_images(image_shape: Sequence[int], crc: int) -> dict[str, Any]:
    """Return what an entry contains about its images: their shape (C, H, W), and the CRC-32 of all of them."""
    return {"shape": list(image_shape), "crc": crc}


def _read_images(rows: ImageRows, stored: Any, in_memory: bool) -> Tensor | ImageRows:
    """Return the images of an entry, or raise an error if they are not the stored ones, or there are none."""
    images = None
    if in_memory:  # NumPy asks for huge pages, which halves the time to fill them
        images = torch.from_numpy(np.empty((len(rows), *rows.image_shape), np.uint8))
    if stored != describe_images(rows.image_shape, rows.compute_crc(images)):
        raise ValueError("the images have changed")
    return rows if images is None else images


def _read_details(archive: zipfile.ZipFile, key: str, mode_names: Any, length: int) -> Details:
    """Return the details in an entry of `length` readable files, or raise an error if they are not as written."""
    sizes = _read_array(archive, f"{key}/sizes.npy", (length, 2), np.int32, length)
    modes = _read_array(archive, f"{key}/modes.npy", (length,), np.uint8, length)
    thumbnails = _read_array(archive, f"{key}/thumbnails.npy", (length, SIDE, SIDE), np.uint8, length)
    are_names = isinstance(mode_names, list) and all(isinstance(name, str) for name in mode_names)
    if not are_names or (length and (int(sizes.min()) < 1 or int(modes.max()) >= len(mode_names))):
        raise ValueError("invalid details")
    return Details(sizes, modes, thumbnails, mode_names)


def _check_values(values: dict[str, Any]) -> None:
    """Raise a ValueError if a value of an entry has another type or is out of range."""
    levels = [values["darkest"], values["brightest"]]
    known = set(values) == {"max_value", "darkest", "brightest"}
    max_value = values["max_value"]
    is_valid = max_value is None or (type(max_value) in (int, float) and 0 < max_value < math.inf)
    if not (known and is_valid and all(type(level) is int and 0 <= level <= 255 for level in levels)):
        raise ValueError("invalid values")


def _read_array(
    archive: zipfile.ZipFile, name: str, shape: tuple[int | None, ...], dtype: type, max_length: int
) -> Tensor:
    """Return an array of an archive, or raise an error if it does not have the given shape and type.

    Args:
        archive: The archive.
        name: Name of the member.
        shape: Shape of the array; its first dimension may be None for any length up to `max_length`.
        dtype: Type of the array.
        max_length: Largest length of the first dimension.
    """
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        found, is_fortran, found_dtype = np.lib.format.read_array_header_1_0(member)
        expected = (found[0] if shape[0] is None else shape[0], *shape[1:])
        if version != (1, 0) or found != expected or found[0] > max_length or is_fortran or found_dtype != dtype:
            raise ValueError(f"unexpected {name}")
        array: np.ndarray = np.empty(found, dtype)  # NumPy asks for huge pages, which halves the time to fill them
        _fill(get_bytes(array), member)
    return torch.from_numpy(array)


def _fill(buffer: memoryview, member: IO[bytes]) -> None:
    """Read a member into a buffer, or raise a ValueError if it is longer."""
    for start in range(0, len(buffer), CHUNK):
        buffer[start : start + CHUNK] = member.read(CHUNK)
    if member.read(1):  # the CRC is compared at the end of the member only
        raise ValueError("the member is too long")
