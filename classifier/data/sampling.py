"""Samplers that shard a data set across processes."""

from collections.abc import Iterator

from torch.utils.data import Dataset, DistributedSampler, Sampler

from classifier.seeding import get_seed

PADDING = -1  # the index that EvaluationSampler yields where a process has no image left


class EvaluationSampler(DistributedSampler):
    """Assigns every image to exactly one process, and padding so that all processes have equally many batches.

    A DistributedSampler repeats images instead, which are then scored twice. Unequal numbers of batches would leave
    one process waiting for buffers that another process no longer sends.
    """

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of this process."""
        indices, num_images = range(self.rank, self.total_size, self.num_replicas), len(self.dataset)  # type: ignore[arg-type]
        return iter([index if index < num_images else PADDING for index in indices])


def make_sampler(dataset: Dataset, split: str, rank: int, num_processes: int) -> Sampler | None:
    """Return the sampler of one process: shuffled for training, every image once for evaluation.

    Args:
        dataset: The data set.
        split: "train", "val" or "test".
        rank: Rank of the process, from 0.
        num_processes: Number of processes that share the data set.

    Returns:
        A sampler, or None where the images of an evaluation are read in order by a single process.
    """
    if split == "train":
        # Lightning sets the epoch of a DistributedSampler, so a resumed run shuffles like an uninterrupted one.
        return DistributedSampler(dataset, num_processes, rank, shuffle=True, seed=get_seed() or 0)
    return EvaluationSampler(dataset, num_processes, rank) if num_processes > 1 else None
