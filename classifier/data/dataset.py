"""Labelled images of one split."""

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from classifier.data.augmentation import flip_images
from classifier.data.sampling import PADDING
from classifier.data.sources import ImageSource

Batch = tuple[Tensor, Tensor]


class ImageDataset(Dataset):
    """Labelled images of one split.

    Args:
        source: The N images.
        labels: Class indices, an int64 tensor (N,).
        split: "train", "val" or "test".
        flipped: Bool mask (N,) of the images that are always mirrored left to right, or None.
    """

    def __init__(self, source: ImageSource, labels: Tensor, split: str, flipped: Tensor | None = None) -> None:
        self.source, self.labels, self.split, self.flipped = source, labels, split, flipped

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def name(self, index: int) -> str:
        """Return the name of an image for messages and captions: its file or, as in "#12", its index."""
        return self.source.name(index)

    def move_to(self, device: torch.device) -> None:
        """Move the labels, and images in memory, to a device. Images in files stay on the CPU until they are used."""
        device = self.source.move_to(device)
        self.labels = self.labels.to(device)
        if self.flipped is not None:
            self.flipped = self.flipped.to(device)

    def __getitem__(self, index: Any) -> Batch:
        """Return an image (C, H, W) and its label for an integer index, and a batch for a slice or a list."""
        indices = torch.arange(len(self))[index]
        images, labels = self.__getitems__(indices.view(-1).tolist())
        return (images, labels) if indices.ndim else (images[0], labels[0])

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return a batch: uint8 images (N, C, H, W) and int64 labels (N,).

        An index PADDING at the end is ignored. Consecutive images of an evaluation split are returned as a view of the
        dataset's memory, so they must not be changed in place. This saves 3% of the MLP's evaluation time.
        """
        if indices and indices[-1] == PADDING:
            indices = indices[:-1]
        if self.split != "train" and indices and indices == list(range(indices[0], indices[0] + len(indices))):
            return self.source.get_range(indices[0], indices[-1] + 1), self.labels[indices[0] : indices[-1] + 1]
        selected = torch.tensor(indices, dtype=torch.long).to(self.labels.device, non_blocking=True)
        images = self.source.gather(selected)
        if self.flipped is not None:
            images = flip_images(images, self.flipped[selected])
        return images, self.labels.index_select(0, selected)


def find_problem(
    images: Tensor | ImageSource, labels: Tensor, image_shape: tuple[int, int, int], num_classes: int
) -> str | None:
    """Return what is wrong with the images and labels of a split, or None if they can be used.

    Args:
        images: A tensor (N, C, H, W) or an ImageSource.
        labels: Class indices, an int64 tensor (N,).
        image_shape: Shape (C, H, W) that the images must have.
        num_classes: Number of classes, above 0.
    """
    dtype = images.dtype if isinstance(images, Tensor) else torch.uint8
    shape = tuple(images.shape[1:] if isinstance(images, Tensor) else images.image_shape)
    problems = {
        f"{len(images)} images and {len(labels)} labels": len(images) != len(labels),
        "no images": len(labels) == 0,
        f"images {shape} of {dtype}, not {tuple(image_shape)} of torch.uint8": (
            shape != tuple(image_shape) or dtype != torch.uint8
        ),
        f"labels beyond 0 to {num_classes - 1}": bool(((labels < 0) | (labels >= num_classes)).any()),
    }
    return next((problem for problem, is_there in problems.items() if is_there), None)
