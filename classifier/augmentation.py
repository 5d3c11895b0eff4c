"""Augmentation of whole batches of images, one draw an image, on whatever device the batch is."""

import torch
from torch import Tensor


def flip_images(images: Tensor, chosen: Tensor) -> Tensor:
    """Return images (N, C, H, W) with those mirrored left to right that are `chosen` (N,), a bool each."""
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


def pad_reflected(images: Tensor, width: int) -> Tensor:
    """Return images (N, C, H, W) with a border of `width` pixels, below H and W, that mirrors what lies inside."""
    for dim in (-2, -1):  # F.pad does not reflect uint8
        size = images.shape[dim]
        indices = torch.arange(-width, size + width, device=images.device).abs()
        images = images.index_select(dim, torch.minimum(indices, 2 * (size - 1) - indices))
    return images


def shift_images(images: Tensor, distance: int) -> Tensor:
    """Return images (N, C, H, W), each moved by up to `distance` pixels across and down, the gap filled by reflection.

    All (2 * distance + 1)^2 moves are equally likely. As in "94 % on CIFAR-10 in 3.29 seconds on a single GPU"
    (Jordan, 2024).
    """
    count, _, height, width = images.shape
    windows = pad_reflected(images, distance).unfold(2, height, 1).unfold(3, width, 1)
    down, across = torch.randint(2 * distance + 1, (2, count), device=images.device)
    return windows[torch.arange(count, device=images.device), :, down, across]


def cut_out(images: Tensor, side: int, fill: Tensor) -> Tensor:
    """Return images (N, C, H, W), each with a square of `side` pixels set to `fill` (C, 1, 1).

    The square's middle is any pixel, so that part of it may lie outside ("Improved Regularization of Convolutional
    Neural Networks with Cutout", DeVries and Taylor, 2017).
    """
    covered = []
    for size in images.shape[2:]:
        start = torch.randint(size, (len(images), 1), device=images.device) - side // 2
        position = torch.arange(size, device=images.device)
        covered.append((position >= start) & (position < start + side))
    return torch.where((covered[0].unsqueeze(2) & covered[1].unsqueeze(1)).unsqueeze(1), fill, images)
