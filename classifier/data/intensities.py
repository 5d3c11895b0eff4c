"""Conversion of images with more than 8 bits per channel to 8 bits."""

from typing import NamedTuple

import numpy as np
from PIL import Image

# Largest possible values of the usual kinds of sensors and files: 8, 10, 12, 14, 16 and 31 bits, and floats.
INTEGER_LIMITS = (2**8 - 1, 2**10 - 1, 2**12 - 1, 2**14 - 1, 2**16 - 1, 2**31 - 1)
FLOAT_LIMITS = (1, 2**8 - 1, 2**16 - 1)
# The same for a single image, by Pillow mode: "I" holds 16 or 32 bits, "F" holds any range.
MODE_LIMITS = {"I": (2**16 - 1, 2**31 - 1), "F": FLOAT_LIMITS}
STRIP_PIXELS = 2**20  # pixels that are converted to 8 bits together, to limit the memory for float64 values


class Intensities(NamedTuple):
    """Values of an image with more than 8 bits per channel.

    Args:
        highest: Highest finite value.
        is_float: Whether the values are floating-point numbers.
    """

    highest: float
    is_float: bool


def choose_max_value(highest: float, is_float: bool) -> float:
    """Return the value that becomes white in all images of a dataset with more than 8 bits per channel.

    Args:
        highest: Highest value in any of the images, at least 0.
        is_float: Whether the values are floating-point numbers.

    Returns:
        The smallest of the usual largest values that is not below `highest`. These are 255, 1023, 4095, 16383, 65535
        and 2^31 - 1 for integers, and 1, 255 and 65535 for floats. If all of them are below, `highest` itself.
    """
    return _round_up(highest, FLOAT_LIMITS if is_float else INTEGER_LIMITS)


def has_more_than_8_bits(image: Image.Image) -> bool:
    """Return whether an image has one channel of 16 or 32 bits."""
    return image.mode.startswith(("I", "F"))


def scale_to_8_bits(image: Image.Image, max_value: float | None) -> tuple[Image.Image, Intensities]:
    """Convert an image of mode "I", "I;16" or "F" to mode "L".

    Args:
        image: The image.
        max_value: Value that becomes 255, above 0. Higher values become 255, too, and those below 0 become 0. None
            chooses the largest value of the image's type.

    Returns:
        The image, and what values it had.
    """
    scaled = np.empty((image.height, image.width), np.uint8)
    height = max(1, STRIP_PIXELS // image.width)
    strips = [slice(top, min(top + height, image.height)) for top in range(0, image.height, height)]

    def read(strip: slice) -> np.ndarray:
        values = np.asarray(image.crop((0, strip.start, image.width, strip.stop))).astype(np.float64)
        return np.nan_to_num(values, copy=False, posinf=0, neginf=0)

    highest = float(max(read(strip).max() for strip in strips))
    largest = max_value or _round_up(highest, MODE_LIMITS.get(image.mode, (2**16 - 1,)))
    for strip in strips:
        scaled[strip] = (read(strip).clip(0, largest) * (255 / largest)).round()
    return Image.fromarray(scaled), Intensities(highest, image.mode == "F")


def _round_up(highest: float, limits: tuple[float, ...]) -> float:
    """Return the first of `limits` that is not below `highest`, or `highest`."""
    return next((limit for limit in limits if highest <= limit), highest)
