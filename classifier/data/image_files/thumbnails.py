"""Small grey copies of images, by which near duplicates are found."""

import functools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from classifier.data.image_files.resizing import get_padded_box

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
    thumbnails = np.empty((len(images), SIDE, SIDE), np.uint8)
    step = max(1, images.shape[2] // ROWS_READ)
    for i, image in enumerate(images.numpy()):  # NumPy takes half the time of PyTorch for arrays of this size
        if padded is not None:
            top, left, height, width = get_padded_box(*padded[i], *image.shape[1:])
            image = image[:, top : top + height, left : left + width]
        total = image[0, ::step].astype(np.uint16)
        for channel in image[1:, ::step]:
            total += channel
        means = get_weights(total.shape[0]) @ total.astype(np.float32) @ get_weights(total.shape[1]).T
        thumbnails[i] = means * (1 / len(image)) + 0.5  # rounds, because the conversion to integers truncates
    return torch.from_numpy(thumbnails)


@functools.lru_cache(maxsize=256)
def get_weights(length: int) -> np.ndarray:
    """Return a matrix (SIDE, length), float32, that averages `length` pixels over SIDE intervals of equal length."""
    edges, pixels = np.arange(SIDE + 1) * (length / SIDE), np.arange(length)
    overlaps = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (overlaps.clip(min=0) * (SIDE / length)).astype(np.float32)
