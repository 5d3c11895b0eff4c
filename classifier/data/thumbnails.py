"""Small grey copies of images, by which near duplicates are found."""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from classifier.data.resizing import get_padded_box

SIDE = 16  # pixels
ROWS_READ = 112  # of a taller image, every second, third, ... row is read, which takes a half or less of the time


def make_thumbnails(images: Tensor, padded: Sequence[tuple[int, int]] | None = None) -> Tensor:
    """Return grey thumbnails of images, each pixel of which is the mean of an area of all channels.

    Args:
        images: uint8 images (N, C, H, W) on the CPU.
        padded: Width and height of every image before it was letterboxed. The padding, which would make all narrow
            images similar, is then left out. None if no image has any.

    Returns:
        A uint8 tensor (N, SIDE, SIDE).
    """
    thumbnails = torch.empty((len(images), SIDE, SIDE), dtype=torch.uint8)
    step = max(1, images.shape[2] // ROWS_READ)
    for i, image in enumerate(images):
        if padded is not None:
            top, left, height, width = get_padded_box(*padded[i], *image.shape[1:])
            image = image[:, top : top + height, left : left + width]
        grey = _add_channels(image[:, ::step])
        thumbnails[i] = (get_weights(grey.shape[0]) @ grey @ get_weights(grey.shape[1]).T).round_()
    return thumbnails


def _add_channels(image: Tensor) -> Tensor:
    """Return the mean over the channels of a uint8 image (C, H, W), float32; integers are added in half the time."""
    total = image[0].to(torch.int16)
    for channel in image[1:]:
        total += channel
    return total.to(torch.float32) / len(image)


@functools.lru_cache(maxsize=256)
def get_weights(length: int) -> Tensor:
    """Return a matrix (SIDE, length), float32, that averages `length` pixels over SIDE intervals of equal length."""
    edges = torch.arange(SIDE + 1, dtype=torch.float64) * length / SIDE
    pixels = torch.arange(length, dtype=torch.float64)
    upper = torch.minimum(edges[1:, None], pixels + 1)
    lower = torch.maximum(edges[:-1, None], pixels)
    return ((upper - lower).clamp(min=0) * (SIDE / length)).float()
