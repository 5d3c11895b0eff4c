"""Decode image files of any format, size and mode into uint8 tensors of one shape."""

import contextlib
import os
import struct
import warnings
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile
from torch import Tensor

from classifier.data.image_files.conversion import convert_image
from classifier.data.image_files.deep_colour import load_high_and_low
from classifier.data.image_files.formats import describe_missing_decoder, get_formats
from classifier.data.image_files.intensities import Intensities
from classifier.data.image_files.limits import MAX_FILE_SIZE, MAX_PIXELS, LimitError, check_limits
from classifier.data.image_files.metadata import ORIENTATIONS, get_orientation, strip_metadata
from classifier.data.image_files.resizing import Resize, resize_image
from classifier.data.opening import open_regular_file
from classifier.errors import UserError, make_printable, one_line

STORED_SETTINGS = ("resize", "max_value", "max_pixels")  # those of a Decoding that checkpoints contain


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
        resize: How images of another size are resized: letterbox, crop or stretch; see `resize_image`.
        max_pixels: Number of pixels that an image may have, above 0; fewer in formats that take more memory, see
            `check_limits`.
    """

    image_shape: tuple[int, int, int]
    max_value: float | None = None
    resize: Resize = "letterbox"
    max_pixels: int = MAX_PIXELS


class Decoded(NamedTuple):
    """A decoded image.

    Args:
        image: uint8 tensor (C, H, W).
        highest: Highest value in the file, if it has more than 8 bits per channel, or None.
        is_float: Whether the file has floating-point values.
        size: Width and height of the image in the file in pixels, as it is shown.
        mode: Pillow's name of the kind of pixels in the file, such as "RGB"; "RGB;16" for colour with 16 bits.
    """

    image: Tensor
    highest: float | None = None
    is_float: bool = False
    size: tuple[int, int] = (1, 1)
    mode: str = "L"


def read_image(
    path: str | os.PathLike[str],
    image_shape: tuple[int, int, int],
    resize: Resize = "letterbox",
    max_value: float | None = None,
) -> Tensor:
    """Read an image file of any size and mode as a uint8 tensor (C, H, W), as training and `predict` do.

    The image is rotated according to its EXIF tag, transparent pixels become white, and only the first frame of an
    animation is read. An image that already has the right size and mode is unchanged. (The default keeps the whole
    image: the MLP classifies 86% of FashionMNIST images correctly that are cropped to the object and resized in this
    way, but only 40% of centre crops.)

    Args:
        path: The image file, in one of the formats that `get_formats` returns.
        image_shape: Channels (1 or 3), height and width of the result.
        resize: letterbox resizes the image to fit, and pads it with the median colour of its border. crop resizes it to
            fill the shape, and cuts off what protrudes equally on both sides. stretch changes the aspect ratio.
        max_value: Value that becomes white in images with more than 8 bits per channel; above 0. None chooses it by the
            largest value of the image's type.

    Raises:
        ImageError: The file is not a regular file, is not an image in one of the formats, is damaged, or exceeds a
            limit in `limits.py`.
    """
    return decode(path, Decoding(image_shape, max_value, resize)).image


def decode(path: str | os.PathLike[str], decoding: Decoding) -> Decoded:
    """Decode an image file; see `read_image`.

    Raises:
        ImageError: The file cannot be read.
    """
    # Pillow maps a file into memory that it opens itself, and truncating a mapped file kills the process.
    with convert_errors(path), open_regular_file(path, MAX_FILE_SIZE) as file:
        try:
            return decode_file(file, decoding)
        except Exception as error:  # Pillow can raise anything
            if not isinstance(error, LimitError) and (stripped := strip_metadata(file)):
                with contextlib.suppress(Exception):  # the pixels are damaged as well
                    return decode_file(stripped[0], decoding, stripped[1])
            raise


def decode_file(file: BinaryIO, decoding: Decoding, orientation: int | None = None) -> Decoded:
    """Decode an open image file.

    Args:
        file: The file.
        decoding: How it is decoded.
        orientation: EXIF orientation of the image, from 1 to 8; None for that in the file.

    Raises:
        LimitError: The image is too large.
        Exception: Pillow can raise anything on a damaged file.
    """
    with identify(file) as opened:
        check_limits(opened, file, decoding.max_pixels)
        mode_in_file, full_size = opened.mode, opened.size
        if opened.format == "JPEG":
            orientation = orientation or get_orientation(opened)
            opened.draft(None, get_min_size(decoding, orientation))  # decodes it at a fraction of its size
        image, low_bytes = load_high_and_low(opened, file, identify)
        orientation = orientation or get_orientation(opened)  # after loading, which rotates a TIFF file
        full_size = full_size if opened.format == "JPEG" else image.size
        resized, intensities = fit_image(image, low_bytes, decoding, orientation, full_size)
    size = full_size[::-1] if orientation > 4 else full_size
    highest, is_float = intensities or (None, False)
    return Decoded(resized, highest, is_float, size, f"{mode_in_file};16" if low_bytes else mode_in_file)


def get_min_size(decoding: Decoding, orientation: int) -> tuple[int, int]:
    """Return the width and height in pixels, as stored, below which an image is not reduced before it is resized."""
    _, height, width = decoding.image_shape
    return (2 * height, 2 * width) if orientation > 4 else (2 * width, 2 * height)


def fit_image(
    image: Image.Image,
    low_bytes: Image.Image | None,
    decoding: Decoding,
    orientation: int,
    full_size: tuple[int, int],
) -> tuple[Tensor, Intensities | None]:
    """Convert, rotate and resize a loaded image of any mode.

    Args:
        image: The image.
        low_bytes: Image of the low bytes, if `image` contains the high bytes of 16 bits per channel, or None.
        decoding: How it is converted and resized.
        orientation: EXIF orientation, from 1 to 8.
        full_size: Width and height before the image was reduced, if it was, and before it is rotated.

    Returns:
        A uint8 tensor (C, H, W) and, if the image had more than 8 bits per channel, what values it had.
    """
    channels, height, width = decoding.image_shape
    mode = "L" if channels == 1 else "RGB"
    min_size = get_min_size(decoding, orientation)
    image, intensities = convert_image(image, low_bytes, mode, decoding.max_value, min_size)
    if orientation in ORIENTATIONS:
        image = image.transpose(ORIENTATIONS[orientation])
    size = full_size[::-1] if orientation > 4 else full_size
    return resize_image(image, height, width, decoding.resize, size), intensities


@contextlib.contextmanager
def convert_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Convert every exception raised in the context to an ImageError that names the file, and hide warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for example about damaged EXIF tags
        try:
            yield
        except Image.UnidentifiedImageError as error:
            reason = describe_missing_decoder(path)
            name = make_printable(path)
            raise ImageError(f"{name}: {reason}" if reason else f"{name} is not an image") from error
        except Exception as error:  # Pillow can raise anything on a damaged file
            reason = getattr(error, "strerror", None) or one_line(error)
            raise ImageError(f"{make_printable(path)} cannot be read as an image: {reason}") from error


def identify(file: BinaryIO) -> ImageFile.ImageFile:
    """Return an image whose header has been read, and whose pixels have not.

    `Image.open` does the same and also applies Pillow's limit on the number of pixels, which belongs to the process.

    Raises:
        UnidentifiedImageError: The file is in none of the formats.
    """
    file.seek(0)
    prefix = file.read(16)
    for name in get_formats():
        factory, accept = Image.OPEN[name]
        try:
            if accept is None or accept(prefix) is True:
                file.seek(0)
                return factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # as in Image.open
            continue
    raise Image.UnidentifiedImageError
