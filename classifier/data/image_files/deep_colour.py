"""Colour images with 16 bits per channel, of which Pillow alone decodes only the high byte."""

import sys
from typing import Any, BinaryIO

from PIL import Image

# Pillow's byte orders: little-endian, big-endian and native. Decoded in the other order, the low byte of every value is
# taken for the high byte.
OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
NAMES = ("RGB;16", "RGBA;16", "RGBX;16")  # of Pillow's raw modes, without the byte order
BITS_PER_SAMPLE = 258  # tag of TIFF


def load_high_and_low(image: Any, file: BinaryIO, identify: Any) -> tuple[Image.Image, Image.Image | None]:
    """Decode an image whose header has been read, in two passes if it has 16 bits per channel in colour.

    This is possible for PNG, TIFF and binary PPM files. SGI and JPEG 2000 files in colour, and TIFF files in CMYK or
    with premultiplied alpha keep only their 8 high bits, because Pillow gives no access to the others.

    Args:
        image: The image, from `identify`.
        file: The file that contains it.
        identify: Function that reads the header of an image in a file.

    Returns:
        The image and None; or its high bytes, and its low bytes in the mode "RGB" or "RGBA".
    """
    if is_grey_with_alpha(image):
        # Four bytes per pixel, like the four channels of "RGBA".
        image.tile = [rename(tile, "RGBA") for tile in image.tile]
        image.load()
        high, low, alpha, _ = image.split()
        return Image.merge("RGBA", (high, high, high, alpha)), Image.merge("RGB", (low, low, low))
    parts = [part for tile in image.tile if (part := find_high_and_low(tile, image))]
    if not parts or len(parts) < len(image.tile):
        image.load()
        return image, None
    image.tile = [high for high, _ in parts]
    image.load()
    with identify(file) as low_bytes:
        low_bytes.tile = [low for _, low in parts]
        low_bytes.load()
    return image, low_bytes


def is_grey_with_alpha(image: Any) -> bool:
    """Return whether an image is a PNG file with 16 bits of grey and of alpha."""
    return image.format == "PNG" and [tile[3] for tile in image.tile] == ["LA;16B"]


def find_high_and_low(tile: Any, image: Any) -> tuple[Any, Any] | None:
    """Return the descriptions that decode the high and the low bytes of a part of an image.

    Args:
        tile: Pillow's description of the part: decoder, box, offset, and arguments of the decoder.
        image: The image, whose header has been read.

    Returns:
        None, if the part does not have 16 bits per channel in colour, or if Pillow gives no access to them.
    """
    decoder, box, offset, arguments = tile
    name = str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)
    if decoder == "ppm" and arguments == ("RGB", 2**16 - 1):  # values that need no scaling
        tile, name = type(tile)("raw", box, offset, ("RGB;16B", 0, 1)), "RGB;16B"
    elif image.format == "TIFF" and name in ("R", "G", "B", "A") and image.tag_v2.get(BITS_PER_SAMPLE, ())[:1] == (16,):
        # Planes in a file without compression, which Pillow decodes as if they had 8 bits.
        name = f"{name};16{'L' if image.tag_v2.prefix == b'II' else 'B'}"
    elif name[:-1] not in NAMES:
        return None
    return rename(tile, name), rename(tile, name[:-1] + OTHER_ORDER[name[-1]])


def rename(tile: Any, name: str) -> Any:
    """Return Pillow's description of a part of an image with another raw mode."""
    arguments = name if isinstance(tile[3], str) else (name, *tile[3][1:])
    return type(tile)(*tile[:3], arguments)
