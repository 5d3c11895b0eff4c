"""Conversion of images in memory, such as arrays and Pillow images, to the images that a network takes."""

import os

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from classifier.data.image_files.decoding import Decoding, convert_errors, decode, fit_image
from classifier.data.image_files.metadata import get_orientation
from classifier.errors import SettingError, require

AnyImage = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor


def read_any_image(image: AnyImage, decoding: Decoding) -> Tensor:
    """Return an image as a uint8 tensor (C, H, W) of the shape, and with the proportions, that `decoding` gives.

    Args:
        image: The path of an image file; a Pillow image; an array (H, W) or (H, W, C) with 1, 3 or 4 channels; or a
            tensor (H, W) or (C, H, W). Arrays and tensors are uint8, uint16 (grey only), bool, or float in [0, 1].
        decoding: How image files were decoded for training.

    Raises:
        ImageError: A file or a Pillow image cannot be decoded.
        SettingError: The type, the shape or the values of an array or a tensor are wrong.
    """
    if isinstance(image, (str, os.PathLike)):
        return decode(image, decoding).image
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        # Also with a number of channels that no file has.
        if image.shape == decoding.image_shape and image.dtype != torch.uint16:
            return to_8_bits(image)
        image = image.float() if image.is_floating_point() else image  # NumPy has no bfloat16
        image = (image.movedim(0, -1) if image.ndim == 3 else image).numpy()
    if isinstance(image, np.ndarray):
        image = to_pillow(image)
    require(
        isinstance(image, Image.Image),
        f"an image must be a path, a Pillow image, an array or a tensor, not {type(image).__name__}",
    )
    with convert_errors("the Pillow image"):
        image.load()  # which rotates a TIFF file
        return fit_image(image, None, decoding, get_orientation(image), image.size)[0]


def to_8_bits(values: Tensor) -> Tensor:
    """Return uint8, bool or float values in [0, 1] as a new uint8 tensor from 0 to 255.

    Raises:
        SettingError: The values have another type or range.
    """
    if values.dtype == torch.uint8:
        return values.clone()
    check_type(values.dtype == torch.bool or values.is_floating_point(), str(values.dtype).removeprefix("torch."))
    if not bool(((values >= 0) & (values <= 1)).all()):  # also for NaN
        raise SettingError(
            f"the values of a float image must be from 0 to 1, not from {float(values.min()):.4g} to "
            f"{float(values.max()):.4g}: divide them by the value of white, such as 255"
        )
    return (values.float() * 255).round().to(torch.uint8)


def check_type(is_valid: bool, name: str) -> None:
    """Raise a SettingError that names the type of an image's values unless it is valid."""
    require(is_valid, f"the values of an image must be uint8, bool or float, or uint16 in grey images, not {name}")


def to_pillow(pixels: np.ndarray) -> Image.Image:
    """Return an array (H, W) or (H, W, C) as a Pillow image.

    Raises:
        SettingError: The type, the shape or the values of the array are wrong.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise SettingError(
            f"an image must have the shape (H, W) or (H, W, C) with 1, 3 or 4 channels as an array, or (C, H, W) as a "
            f"tensor; (N, H, W, C) and (N, C, H, W) are lists of images. This one has {pixels.shape} as (H, W, C)"
        )
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32)  # PyTorch has neither numbers of 128 bits nor another order of bytes
    pixels = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    if pixels.dtype == np.uint16 and pixels.ndim == 2:
        return Image.fromarray(pixels)
    check_type(pixels.dtype.kind in "biuf", pixels.dtype.name)
    return Image.fromarray(to_8_bits(torch.tensor(pixels)).numpy())  # a copy, because an array can be read-only
