"""Samplers that distribute a dataset over processes."""

from collections.abc import Iterator

from torch.utils.data import Dataset, DistributedSampler, Sampler

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


def make_sampler(dataset: Dataset, split: str, rank: int, num_processes: int) -> Sampler | None:
    """Return the sampler of one process: a shuffling one for training, an EvaluationSampler for evaluation.

    Args:
        dataset: The dataset.
        split: "train", "val" or "test".
        rank: Rank of the process, from 0.
        num_processes: Number of processes that the dataset is distributed over, above 0.

    Returns:
        A sampler, or None if a single process evaluates the images in order.
    """
    if split == "train":
        # Lightning sets the epoch of a DistributedSampler, so a resumed run shuffles like an uninterrupted one.
        return DistributedSampler(dataset, num_processes, rank, shuffle=True, seed=get_seed() or 0)
    return EvaluationSampler(dataset, num_processes, rank) if num_processes > 1 else None
