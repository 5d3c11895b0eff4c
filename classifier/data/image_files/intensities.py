"""Images with more than 8 bits per channel: their values, and which of them becomes white."""

from typing import NamedTuple

import numpy as np
from PIL import Image

# Largest possible values of the usual kinds of sensors and files: 8, 10, 12, 14, 16 and 31 bits, and floats.
INTEGER_LIMITS = (2**8 - 1, 2**10 - 1, 2**12 - 1, 2**14 - 1, 2**16 - 1, 2**31 - 1)
FLOAT_LIMITS = (1, 2**8 - 1, 2**16 - 1)
# The same for a single image, by Pillow mode: "I" holds 16 or 32 bits, "F" holds any range.
MODE_LIMITS = {"I": (2**16 - 1, 2**31 - 1), "F": FLOAT_LIMITS}


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
    return round_up(highest, FLOAT_LIMITS if is_float else INTEGER_LIMITS)


def round_up(highest: float, limits: tuple[float, ...]) -> float:
    """Return the first of `limits` that is not below `highest`, or `highest`."""
    return next((limit for limit in limits if highest <= limit), highest)


def has_deep_grey(image: Image.Image) -> bool:
    """Return whether an image has one channel of 16 or 32 bits."""
    return image.mode.startswith(("I", "F"))


def read_values(image: Image.Image, low_bytes: Image.Image | None) -> np.ndarray:
    """Return the values of an image with more than 8 bits per channel.

    Args:
        image: Image of mode "I", "I;16" or "F", or the high bytes of an image in colour.
        low_bytes: The low bytes of an image in colour, or None.

    Returns:
        Floats (H, W) or (H, W, 3); infinite values and NaN are 0.
    """
    if low_bytes is None:
        return np.nan_to_num(np.asarray(image).astype(np.float64), copy=False, posinf=0, neginf=0)
    return np.asarray(image)[..., :3] * 256.0 + np.asarray(low_bytes)[..., :3]


def scale_to_8_bits(image: Image.Image, low_bytes: Image.Image | None, max_value: float) -> Image.Image:
    """Convert an image with more than 8 bits per channel to mode "L", "RGB" or "RGBA".

    Args:
        image: Image of mode "I", "I;16" or "F", or the high bytes of an image in colour.
        low_bytes: The low bytes of an image in colour, or None.
        max_value: Value that becomes 255, above 0; higher values become 255, too, and those below 0 become 0.
    """
    values = read_values(image, low_bytes).clip(0, max_value) * (255 / max_value)
    scaled = Image.fromarray(values.round().astype(np.uint8))
    if image.mode == "RGBA":
        scaled.putalpha(image.getchannel("A"))
    return scaled
