"""Decode image files of any format, size and mode into uint8 tensors of one shape."""

import contextlib
import functools
import os
import warnings
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from classifier.data.opening import open_regular_file
from classifier.errors import UserError, make_printable, one_line

# Formats that have a signature and are decoded by Pillow or the libraries compiled into it. Other formats of Pillow
# start a program (EPS), are decoded by the operating system (WMF) or by handlers of other packages (HDF5, GRIB), are
# decoded in Python, which takes minutes for a large image (QOI), or have no signature (TGA).
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "SGI", "TIFF", "WEBP")
MAX_FILE_SIZE = 10**9  # bytes; Pillow's limit of 89 million pixels is reached with 0.7 GB at 8 bytes per pixel
# Every scan of a progressive JPEG takes time for all pixels, however few bytes it has. Encoders write about 10 scans.
MAX_SCANS = 100
STRIP_PIXELS = 2**20  # pixels that are converted to 8 bits together, to limit the memory for float64 values
# Largest possible values by Pillow mode: "I" holds 16 or 32 bits, "F" holds any range.
MAX_VALUES = {"I": (2**16 - 1, 2**31 - 1), "F": (1, 255, 2**16 - 1)}


class ImageError(UserError):
    """A file cannot be decoded as an image."""

    def __init__(self, text: str) -> None:
        # A DataLoader worker passes its whole traceback as the text; the last line is the message.
        super().__init__(text.strip().splitlines()[-1].removeprefix(f"{__name__}.{type(self).__name__}: "))


class Decoding(NamedTuple):
    """How image files are decoded.

    Args:
        image_shape: Channels (1 or 3), height and width of the result.
        max_value: Value that becomes white in images with more than 8 bits per channel; above 0. None chooses it for
            every image by the largest value of its type.
    """

    image_shape: tuple[int, int, int]
    max_value: float | None = None


class Decoded(NamedTuple):
    """A decoded image.

    Args:
        image: uint8 tensor (C, H, W).
        highest: Highest value in the file, if it has more than 8 bits per channel, or None.
        is_float: Whether the file has floating-point values.
    """

    image: Tensor
    highest: float | None = None
    is_float: bool = False


def read_image(path: str | os.PathLike[str], image_shape: tuple[int, int, int]) -> Tensor:
    """Read an image file in one of `FORMATS`, of any size and mode, as a uint8 tensor (C, H, W).

    The image is rotated according to its EXIF tag, transparent pixels become white, and only the first frame of an
    animation is read. The aspect ratio is kept: the image is resized to fit, and the rest is filled with the median
    colour of its border. (The MLP classifies 86% of FashionMNIST images correctly that are cropped to the object and
    resized in this way, but only 40% of centre crops.) An image that already has the right size and mode is unchanged.

    Args:
        path: The image file.
        image_shape: Channels (1 or 3), height and width of the result.

    Raises:
        ImageError: The file is not a regular file, is not an image in one of the formats, is damaged, or exceeds a
            limit: Pillow's on the number of pixels, `MAX_FILE_SIZE`, or `MAX_SCANS`.
    """
    return decode(path, Decoding(image_shape)).image


def decode(path: str | os.PathLike[str], decoding: Decoding) -> Decoded:
    """Decode an image file; see `read_image`.

    Raises:
        ImageError: The file cannot be read.
    """
    channels, height, width = decoding.image_shape
    with open_image(path) as image:
        image.draft(None, (2 * width, 2 * height))  # decodes a large JPEG at a fraction of its size
        ImageOps.exif_transpose(image, in_place=True)
        return Decoded(letterbox(convert_mode(image, "L" if channels == 1 else "RGB"), height, width))


@functools.cache
def get_formats() -> tuple[str, ...]:
    """Return the names of those `FORMATS` that the installed Pillow supports."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextlib.contextmanager
def open_image(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open an image file, and convert every exception raised in the context to an ImageError."""
    name = make_printable(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for example about damaged EXIF tags
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            # Pillow maps a file into memory that it opens itself, and truncating a mapped file kills the process.
            with open_regular_file(path, MAX_FILE_SIZE) as file, Image.open(file, formats=get_formats()) as image:
                _check_scans(image, file)
                yield image
        except Image.UnidentifiedImageError as error:
            format_name = Image.EXTENSION.get(os.path.splitext(name)[1].lower())  # noqa: PTH122 not always a path
            if format_name and format_name not in get_formats():
                raise ImageError(f"{name}: {format_name} files are not read; convert it to PNG") from error
            raise ImageError(f"{name} is not an image") from error
        except Exception as error:  # Pillow can raise anything on a damaged file
            reason = getattr(error, "strerror", None) or one_line(error)
            raise ImageError(f"{name} cannot be read as an image: {reason}") from error


def _check_scans(image: Image.Image, file: BinaryIO) -> None:
    """Raise a ValueError if a progressive JPEG may have more than `MAX_SCANS` scans."""
    if image.info.get("progressive"):
        position = file.tell()
        file.seek(0)
        # This includes the scans of embedded thumbnails, and misses those whose marker is on the border of two blocks.
        num_scans = sum(block.count(b"\xff\xda") for block in iter(lambda: file.read(2**20), b""))
        file.seek(position)
        if num_scans > MAX_SCANS:
            raise ValueError(f"it has {num_scans:,} scans, above the limit of {MAX_SCANS}")


def convert_mode(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image to mode "L" or "RGB", with 8 bits per value and transparent pixels on white."""
    if image.mode.startswith(("I", "F")):
        image = _scale_to_8_bits(image)
    elif image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Convert an image of mode "I", "I;16" or "F" to mode "L", so that the largest possible value becomes 255."""
    stored = np.asarray(image)
    scaled = np.empty(stored.shape, np.uint8)
    height = max(1, STRIP_PIXELS // image.width)
    strips = [slice(top, top + height) for top in range(0, image.height, height)]

    def read(strip: slice) -> np.ndarray:
        return np.nan_to_num(stored[strip].astype(np.float64), posinf=0, neginf=0)

    highest = max(read(strip).max() for strip in strips)
    largest = next((limit for limit in MAX_VALUES.get(image.mode, (2**16 - 1,)) if highest <= limit), highest)
    for strip in strips:
        scaled[strip] = (read(strip).clip(0) * (255 / largest)).round()
    return Image.fromarray(scaled)


def letterbox(image: Image.Image, height: int, width: int) -> Tensor:
    """Resize an image to fit, pad it with the median colour of its border, and return uint8 (C, height, width)."""
    if image.size != (width, height):
        scale = min(width / image.width, height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BICUBIC)
    pixels = np.array(image).reshape(image.height, image.width, -1)
    if image.size != (width, height):
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        canvas = np.empty((height, width, pixels.shape[2]), np.uint8)
        canvas[:] = np.median(border, axis=0).round()
        top, left = (height - image.height) // 2, (width - image.width) // 2
        canvas[top : top + image.height, left : left + image.width] = pixels
        pixels = canvas
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
