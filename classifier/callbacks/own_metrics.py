"""Metrics that a network of the user's own logs itself, by `self.log("f1/test", value)`."""

import math
import re
from collections.abc import Mapping

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from classifier.errors import require

# The names in `results.json` and TensorBoard that every network has.
RESERVED = frozenset(
    (
        *(
            f"{name}/{split}"
            for name in ("loss", "accuracy", "accuracy_by_class")
            for split in ("train", "val", "test")
        ),
        *("loss/train_running", "lr", "speed/images_per_second", "epoch", "seconds", "images_scored"),
        *("batches", "batches_per_epoch", "evaluations"),
    )
)
LOADER = "/dataloader_idx_"  # Lightning appends it to what `validation_step` logs, if there are several DataLoaders


class OwnMetrics:
    """Which metrics a network has logged in the current epoch.

    A value that Lightning keeps from an earlier epoch, for example because the images are not evaluated in every epoch,
    is thereby not taken for one of this epoch.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.late: set[str] = set()  # logged too late, and reported
        self.is_recorded = False  # whether the records of the epoch are written

    def start(self) -> None:
        """Begin an epoch, or an evaluation outside of training."""
        self.names, self.is_recorded = set(), False

    def add(self, name: str, network: str) -> None:
        """Note that a network logs a metric.

        Args:
            name: Name of the metric.
            network: Name of the network's class, for messages.

        Raises:
            SettingError: The name is that of a metric that every network has.
        """
        require(
            name not in RESERVED and not re.search("_by_step$", name),
            f"{network} logs {name}, but that is the name of a value that every run records: choose another name, such "
            f"as own_{name}",
        )
        if self.is_recorded and name not in self.names | self.late:
            self.late.add(name)
            rank_zero_warn(
                f"{network} logs {name} when the epoch is recorded already, so results.json and the line of the epoch "
                "lack it: log it in training_step, validation_step or on_validation_epoch_end"
            )
        if not self.is_recorded:
            self.names.add(name)

    def collect(self, logged: Mapping[str, Tensor], splits: list[str]) -> dict[str, float]:
        """Return the metrics that were logged in this epoch.

        Args:
            logged: Values by name, as in `Trainer.callback_metrics`.
            splits: Split of every evaluation DataLoader, in place of the number that Lightning appends to a name.
        """
        collected = {}
        for key, value in logged.items():
            name, loader, index = key.partition(LOADER)
            if name in self.names:
                is_known = loader and index.isdecimal() and int(index) < len(splits)
                collected[f"{name}/{splits[int(index)]}" if is_known else key] = float(value)
        return collected


def keep_finite(values: dict[str, float]) -> dict[str, float]:
    """Return the values that are neither infinite nor NaN, which checkpoints do not contain."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def format_metrics(values: dict[str, float], split: str | None) -> str:
    """Return the metrics of a split as text, each after its name without the split, and after a space.

    Args:
        values: Values by name, such as "f1/test".
        split: "train", "val" or "test"; None for the metrics whose name ends with none of them.
    """
    parts = []
    for name, value in values.items():
        start, _, end = name.rpartition("/")
        is_of_split = end in ("train", "val", "test") and bool(start)
        if (end == split) if is_of_split else split is None:
            parts.append(f" {start if is_of_split else name} {value:.4g}")
    return "".join(parts)
