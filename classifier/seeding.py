"""The seed of a run, which Lightning's `seed_everything` stores in an environment variable."""

import os

VARIABLE = "PL_GLOBAL_SEED"


def get_seed() -> int | None:
    """Return the seed of the run, or None if `seed_everything` was not called."""
    value = os.environ.get(VARIABLE)
    return None if value is None else int(value)


def get_epoch_seed(epoch: int, rank: int, num_processes: int) -> int:
    """Return a seed for an epoch and a process. It is unique within a run, and the same for runs with the same seed.

    Args:
        epoch: Index of the epoch, from 0.
        rank: Rank of the process, from 0.
        num_processes: Number of processes that train together.
    """
    # A large prime keeps the seeds of neighbouring runs (seed 0, 1, 2, ...) apart.
    return (get_seed() or 0) + 1_000_003 * (epoch * num_processes + rank)
