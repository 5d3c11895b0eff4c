"""Samplers that distribute a dataset over processes, and the loader that can start within an epoch."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from classifier.seeding import get_seed

PADDING = -1  # the index that EvaluationSampler yields where a process has no image left


class EvaluationSampler(DistributedSampler):
    """Assigns every image to exactly one process.

    Some processes get an index PADDING at the end, so that all have the same number of batches; otherwise, one process
    would wait for a collective operation that the others do not reach. A DistributedSampler repeats images instead,
    which are then evaluated twice.
    """

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this process, at most one of them PADDING."""
        indices, num_images = range(self.rank, self.total_size, self.num_replicas), len(self.dataset)  # type: ignore[arg-type]
        return iter([index if index < num_images else PADDING for index in indices])


class TrainingSampler(DistributedSampler):
    """Shuffles the images in an order that depends on the seed and the epoch only.

    Lightning sets the epoch. If `start` is set, the pass of the current epoch skips that number of images.
    """

    start = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, from 0; a new epoch begins with the first image."""
        if epoch != self.epoch:
            self.start = 0
        super().set_epoch(epoch)

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this process."""
        return islice(super().__iter__(), self.start, None)


class TrainingLoader(DataLoader):
    """A DataLoader that can start within an epoch.

    Lightning calls `state_dict` for a checkpoint, and `load_state_dict` when it continues within an epoch. The position
    is not stored here: `set_position` derives it from Lightning's own counters.
    """

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"first_batch": 0, "is_finished": False}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the epoch with the batch of the given index, or yield no batch if the epoch is finished."""
        if isinstance(self.sampler, TrainingSampler):  # Lightning replaces it for `overfit_batches`
            position = state["first_batch"] * (self.batch_size or 1)
            self.sampler.start = len(self.sampler) if state["is_finished"] else position


def make_sampler(dataset: Dataset, split: str, rank: int, num_processes: int, epoch: int = 0) -> Sampler | None:
    """Return the sampler of one process: a shuffling one for training, an EvaluationSampler for evaluation.

    Args:
        dataset: The dataset.
        split: "train", "val" or "test".
        rank: Rank of the process, from 0.
        num_processes: Number of processes that the dataset is distributed over, above 0.
        epoch: Index of the current epoch, from 0.

    Returns:
        A sampler, or None if a single process evaluates the images in order.
    """
    if split == "train":
        sampler = TrainingSampler(dataset, num_processes, rank, shuffle=True, seed=get_seed() or 0)
        # In a resumed run, Lightning sets the epoch only after the workers of a loader have read the first batches.
        sampler.set_epoch(epoch)
        return sampler
    return EvaluationSampler(dataset, num_processes, rank) if num_processes > 1 else None
