"""What is known of image files after they were decoded, and its file format in the cache."""

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from classifier.data.opening import open_regular_file
from classifier.data.thumbnails import SIDE

OVERHEAD = 10_000  # bytes that an entry may have beyond its arrays; ZIP and NumPy headers have about 1,000
CHUNK = 2**18  # bytes; the checksum is computed of each chunk while the processor's cache contains it


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
        images: The readable images, uint8 (M, C, H, W), or None if they stay in the files.
        details: What else is known of the readable files, or None.
    """

    kept: Tensor
    hashes: Tensor
    problems: list[str]
    max_value: float | None
    darkest: int
    brightest: int
    images: Tensor | None = None
    details: Details | None = None

    def get_arrays(self) -> dict[str, Tensor]:
        """Return all tensors by their names in an entry."""
        arrays = {"kept": self.kept, "hashes": self.hashes}
        if self.details is not None:
            details = self.details
            arrays.update(sizes=details.sizes, modes=details.modes, thumbnails=details.thumbnails)
        return arrays if self.images is None else {**arrays, "images": self.images}

    def count_bytes(self) -> int:
        """Return the size of the tensors in bytes."""
        return sum(tensor.nbytes for tensor in self.get_arrays().values())


def write_entry(path: Path, key: str, contents: Contents) -> None:
    """Write an entry of the cache, a ZIP archive whose members contain the key in their names.

    Args:
        path: The file to write.
        key: Key of the entry.
        contents: What to write, except `problems`.
    """
    values: dict[str, Any] = {
        "max_value": contents.max_value,
        "darkest": contents.darkest,
        "brightest": contents.brightest,
    }
    if contents.details is not None:
        values["mode_names"] = contents.details.mode_names
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{key}/values.json"), json.dumps(values))
        for name, tensor in contents.get_arrays().items():
            array = tensor.numpy()
            # A ZipInfo without a time makes equal contents equal files.
            with archive.open(zipfile.ZipInfo(f"{key}/{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                stored = _get_bytes(array)
                for start in range(0, len(stored), CHUNK):
                    member.write(stored[start : start + CHUNK])


def read_entry(path: Path, key: str, shape: tuple[int, int, int, int], with_images: bool) -> Contents | None:
    """Return the contents of an entry, without problems, or None if they are not exactly those that were written.

    The sizes of the file and of the arrays are compared with `shape` before memory is allocated. `zipfile` compares a
    CRC of every member that is read with the stored one. A renamed entry is not accepted, because its members contain
    the key in their names.

    Args:
        path: The file; links are not followed.
        key: Key of the entry.
        shape: Number of files, and channels, height and width of the decoded images.
        with_images: Whether to read the images; an entry that lacks them is then not accepted.
    """
    num_files, *image_shape = shape
    try:
        # Bytes for an image, for its index and hash, and for its details.
        limit = num_files * (math.prod(image_shape) + 16 + 9 + SIDE**2) + OVERHEAD
        with (
            open_regular_file(path, limit, follow_links=False) as file,
            zipfile.ZipFile(file) as archive,
        ):
            with archive.open(f"{key}/values.json") as member:
                values = json.loads(member.read(OVERHEAD))
            mode_names = values.pop("mode_names", None)
            _check_values(values)
            kept = _read_array(archive, f"{key}/kept.npy", (None,), np.int64, num_files)
            hashes = _read_array(archive, f"{key}/hashes.npy", (len(kept),), np.int64, num_files)
            details = None if mode_names is None else _read_details(archive, key, mode_names, len(kept))
            images = None
            if with_images:
                images = _read_array(archive, f"{key}/images.npy", (len(kept), *image_shape), np.uint8, num_files)
        ordered = bool((kept[1:] > kept[:-1]).all()) and (not len(kept) or (kept[0] >= 0 and kept[-1] < num_files))
        return Contents(kept, hashes, [], images=images, details=details, **values) if ordered else None
    except Exception:  # zipfile, json and NumPy can raise anything on a damaged file
        return None


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
        _fill(_get_bytes(array), member)
    return torch.from_numpy(array)


def _fill(buffer: memoryview, member: IO[bytes]) -> None:
    """Read a member into a buffer, or raise a ValueError if it is longer."""
    for start in range(0, len(buffer), CHUNK):
        buffer[start : start + CHUNK] = member.read(CHUNK)
    if member.read(1):  # the CRC is compared at the end of the member only
        raise ValueError("the member is too long")


def _get_bytes(array: np.ndarray) -> memoryview:
    """Return the memory of a contiguous array as bytes."""
    return array.reshape(-1).view(np.uint8).data
