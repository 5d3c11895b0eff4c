"""Batches of images, and how they are dealt to processes."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from classifier.augmentation import flip_images

Batch = tuple[Tensor, Tensor]


class ImageDataset(Dataset):
    """Labelled images.

    Args:
        images: uint8 tensor (N, C, H, W), or ImageFiles in its place.
        labels: int64 tensor (N,).
        split: "train", "val" or "test", the name under which their scores are logged.
        mirrored: bool tensor (N,) that tells which images a batch holds mirrored, or None.
    """

    def __init__(self, images: Tensor, labels: Tensor, split: str, mirrored: Tensor | None = None) -> None:
        self.images, self.labels, self.split, self.mirrored = images, labels, split, mirrored

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def move_to(self, device: torch.device) -> None:
        """Move images in memory to a device; those in files are moved batch by batch."""
        if isinstance(self.images, Tensor):
            self.images, self.labels = self.images.to(device), self.labels.to(device)
            if self.mirrored is not None:
                self.mirrored = self.mirrored.to(device)

    def count_workers(self, processes: int) -> int:
        """Return how many workers each of some processes is to have: none where the images are in memory."""
        return 0 if isinstance(self.images, Tensor) else self.images.count_workers(processes)

    def __getitem__(self, index: int) -> Batch:
        """Return one image (C, H, W) and its label."""
        return self.images[index], self.labels[index]

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return a batch: images (N, C, H, W) and labels (N,), without an index at the end that is padding.

        A batch in order shares the memory of the data set, unless it is for training: 3 % of a pass of the MLP.
        """
        if indices[-1] == PADDING:
            indices = indices[:-1]
        in_order = self.split != "train" and indices and indices == list(range(indices[0], indices[0] + len(indices)))
        if in_order and isinstance(self.images, Tensor):
            return self.images[indices[0] : indices[-1] + 1], self.labels[indices[0] : indices[-1] + 1]
        selected = torch.tensor(indices, dtype=torch.long).to(self.labels.device, non_blocking=True)
        images = self.images.index_select(0, selected)
        if self.mirrored is not None:
            images = flip_images(images, self.mirrored[selected])
        return images, self.labels.index_select(0, selected)


PADDING = -1  # the index that EvaluationSampler deals where a process has no image left


class EvaluationSampler(DistributedSampler):
    """Deals every image to exactly one process, and padding so that all processes have the same number of batches.

    A DistributedSampler repeats images instead, and then scores them twice. Unequal numbers of batches would leave
    one process waiting for buffers that another no longer sends.
    """

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this process."""
        return iter(
            [i if i < len(self.dataset) else PADDING for i in range(self.rank, self.total_size, self.num_replicas)]
        )


def keep_batch(batch: Batch) -> Batch:
    """Return what `ImageDataset.__getitems__` has already gathered."""
    return batch
