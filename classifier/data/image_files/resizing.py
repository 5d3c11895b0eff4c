"""Resizing of images of any size to one height and width."""

from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Resize = Literal["letterbox", "crop", "stretch"]


def resize_image(
    image: Image.Image, height: int, width: int, resize: Resize, full_size: tuple[int, int] | None = None
) -> Tensor:
    """Resize an image with bicubic interpolation; an image that has the right size is not changed.

    Args:
        image: Image of mode "L" or "RGB".
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        resize: letterbox keeps the whole image and its aspect ratio, and pads it with the median colour of its border.
            crop keeps the aspect ratio and fills the result, and cuts off what protrudes equally on both sides.
            stretch keeps the whole image, and changes its aspect ratio to that of the result.
        full_size: Width and height of the image before it was reduced, whose aspect ratio is kept by letterbox. The
            sides of a reduced image are rounded. None for those of the image.

    Returns:
        A uint8 tensor (C, height, width).
    """
    if image.size != (width, height):
        if resize == "letterbox":
            _, _, *inner_size = get_padded_box(*(full_size or image.size), height, width)
            image = image.resize((inner_size[1], inner_size[0]), Image.Resampling.BICUBIC)
            return to_tensor(pad(image, height, width))
        box = get_centre_box(image.width, image.height, height, width) if resize == "crop" else None
        image = image.resize((width, height), Image.Resampling.BICUBIC, box)
    return to_tensor(to_array(image))


def get_padded_box(image_width: int, image_height: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return the part of a letterboxed image (height, width) that is not padding: top, left, height and width."""
    scale = min(width / image_width, height / image_height)
    inner_height, inner_width = max(1, round(image_height * scale)), max(1, round(image_width * scale))
    return (height - inner_height) // 2, (width - inner_width) // 2, inner_height, inner_width


def get_centre_box(image_width: int, image_height: int, height: int, width: int) -> tuple[float, float, float, float]:
    """Return the part of an image that remains after torchvision's Resize and CenterCrop, in pixels of the image.

    Resizing only this part gives the same pixels except for rounding, because Pillow's filter also reads those around
    the part, and takes little memory for an image of any proportions.

    Returns:
        Left, upper, right and lower edge.
    """
    scale = max(width / image_width, height / image_height)
    # Rounded as torchvision does, which truncates the size and rounds the offset.
    full_width, full_height = max(width, int(image_width * scale)), max(height, int(image_height * scale))
    left, top = round((full_width - width) / 2), round((full_height - height) / 2)
    x, y = image_width / full_width, image_height / full_height
    return left * x, top * y, min(image_width, (left + width) * x), min(image_height, (top + height) * y)


def pad(image: Image.Image, height: int, width: int) -> np.ndarray:
    """Return an image (height, width, C), uint8, in the centre of a canvas of the median colour of its border."""
    pixels = to_array(image)
    if image.size == (width, height):
        return pixels
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    canvas = np.empty((height, width, pixels.shape[2]), np.uint8)
    canvas[:] = np.median(border, axis=0).round()
    top, left = (height - image.height) // 2, (width - image.width) // 2
    canvas[top : top + image.height, left : left + image.width] = pixels
    return canvas


def to_array(image: Image.Image) -> np.ndarray:
    """Return a copy of the pixels of an image as an array (H, W, C)."""
    return np.array(image).reshape(image.height, image.width, -1)


def to_tensor(pixels: np.ndarray) -> Tensor:
    """Return pixels (H, W, C) as a tensor (C, H, W)."""
    # NumPy takes a third of the time of PyTorch to transpose an array of this size.
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
