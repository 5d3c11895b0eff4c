"""Augmentation of whole batches on the device, with one random draw per image."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Flip = Literal["none", "random", "alternating"]


def augment_images(
    images: Tensor, epoch: int, flip: Flip, crop: float, shift: int, cutout: int, colour: Sequence[float]
) -> Tensor:
    """Return uint8 images (N, C, H, W), flipped, cropped, shifted and cut out at random.

    Args:
        images: uint8 training images (N, C, H, W). With an alternating flip, the dataset has already flipped a random
            half of them.
        epoch: Index of the epoch, from 0.
        flip: Which images are mirrored left to right; see ImageDataModule.
        crop: Smallest part of an image that a random crop covers, as a fraction of its area; 1 for no crop.
        shift: Largest translation in pixels, from 0 (none) to below H and W.
        cutout: Side of a square in pixels that is filled; 0 for none.
        colour: Colour of that square from 0 to 1: one number per channel, or one for all.
    """
    if flip == "random":
        images = flip_images(images, torch.rand(len(images), device=images.device) < 0.5)
    elif flip == "alternating" and epoch % 2:
        images = images.flip(-1)
    if crop < 1:
        images = crop_images(images, crop)
    if shift:
        images = shift_images(images, shift)
    if cutout:
        fill = (torch.tensor(colour, device=images.device) * 255).round().to(images.dtype).view(-1, 1, 1)
        images = cut_out(images, cutout, fill)
    return images


def flip_images(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror selected images left to right.

    Args:
        images: Images (N, C, H, W) of any dtype.
        chosen: Bool mask (N,) of the images to mirror.
    """
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


def crop_images(images: Tensor, smallest: float) -> Tensor:
    """Return images (N, C, H, W), each replaced by a random part of it that is enlarged to the same height and width.

    The part covers a uniformly distributed fraction of the area. Its aspect ratio differs from that of the image by a
    factor of up to 4/3 ("Going Deeper with Convolutions", Szegedy et al., 2014), unless the part would be larger than
    the image.

    Args:
        images: uint8 images (N, C, H, W).
        smallest: Smallest fraction of the area, above 0 and at most 1.
    """
    area, stretch, *position = torch.rand(4, len(images), device=images.device)
    area, stretch = smallest + (1 - smallest) * area, (4 / 3) ** (2 * stretch - 1)
    size = torch.stack([(area * stretch).sqrt(), (area / stretch).sqrt()]).clamp(max=1)  # width and height
    centre = (1 - size) * (2 * torch.stack(position) - 1)  # from -1 to 1, as affine_grid takes it
    part = torch.cat([size.T.diag_embed(), centre.T.unsqueeze(2)], dim=2)  # (N, 2, 3)
    grid = F.affine_grid(part, list(images.shape), align_corners=False)
    cropped = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return cropped.round().to(images.dtype)


def pad_reflected(images: Tensor, width: int) -> Tensor:
    """Return images (N, C, H, W) padded by reflection on all four sides.

    Args:
        images: Images (N, C, H, W) of any dtype; reflection in `torch.nn.functional.pad` does not support uint8.
        width: Width of the border in pixels, from 0 to below H and W.
    """
    for dim in (-2, -1):
        size = images.shape[dim]
        indices = torch.arange(-width, size + width, device=images.device).abs()
        images = images.index_select(dim, torch.minimum(indices, 2 * (size - 1) - indices))
    return images


def shift_images(images: Tensor, distance: int) -> Tensor:
    """Return images (N, C, H, W), each translated at random and padded by reflection.

    All (2 * distance + 1) ** 2 translations are equally likely. The augmentation is that of "94% on CIFAR-10 in 3.29
    Seconds on a Single GPU" (Jordan, 2024).

    Args:
        images: Images (N, C, H, W) of any dtype.
        distance: Largest translation in pixels, horizontally and vertically; from 0 to below H and W.
    """
    count, _, height, width = images.shape
    windows = pad_reflected(images, distance).unfold(2, height, 1).unfold(3, width, 1)
    down, across = torch.randint(2 * distance + 1, (2, count), device=images.device)
    return windows[torch.arange(count, device=images.device), :, down, across]


def cut_out(images: Tensor, side: int, fill: Tensor) -> Tensor:
    """Return images (N, C, H, W), each with a square at a random position set to `fill`.

    The centre of the square can be any pixel, so part of the square can be outside the image ("Improved
    Regularization of Convolutional Neural Networks with Cutout", DeVries and Taylor, 2017).

    Args:
        images: Images (N, C, H, W) of any dtype.
        side: Side of the square in pixels, above 0.
        fill: Colour of the square, a tensor (C, 1, 1) of the same dtype as the images.
    """
    covered = []
    for size in images.shape[2:]:
        start = torch.randint(size, (len(images), 1), device=images.device) - side // 2
        position = torch.arange(size, device=images.device)
        covered.append((position >= start) & (position < start + side))
    return torch.where((covered[0].unsqueeze(2) & covered[1].unsqueeze(1)).unsqueeze(1), fill, images)
