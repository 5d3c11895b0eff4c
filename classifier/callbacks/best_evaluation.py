"""The evaluation with the highest accuracy on the validation images, whose weights `best.ckpt` contains."""

from dataclasses import dataclass
from typing import Any

import lightning as L

from classifier.callbacks.checkpointing import EpochCheckpoint

SELECTION = "accuracy/val"  # the metric that best.ckpt maximises


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a network at a point of its training.

    Args:
        epoch: Number of the epoch, from 1.
        step: Number of optimizer steps.
        values: Loss and accuracy of the evaluated splits, such as {"accuracy/val": 0.9}.
        class_accuracies: Accuracy of every class by split; NaN for a class without images. Empty if not known.
    """

    epoch: int
    step: int
    values: dict[str, float]
    class_accuracies: dict[str, list[float]]


def choose_better(best: Evaluation | None, new: Evaluation) -> Evaluation | None:
    """Return the better one of two evaluations, the first one if they are equal, or None without validation images."""
    if SELECTION not in new.values or (best is not None and best.values[SELECTION] >= new.values[SELECTION]):
        return best
    return new


def read_best(checkpoint: dict[str, Any]) -> Evaluation | None:
    """Return the best evaluation before a checkpoint. An older one does not contain it, but the records of all epochs.

    Args:
        checkpoint: Contents of a checkpoint.
    """
    callbacks = checkpoint.get("callbacks", {})
    best = callbacks.get("EpochMetrics", {}).get("best")
    if best is not None:
        return Evaluation(best["epoch"], best["step"], best["values"], best["class_accuracies"])
    for epoch in callbacks.get("ResultsRecorder", {}).get("epochs", ()):
        for record in (*epoch.get("evaluations", ()), epoch):
            tags = [f"{name}/{split}" for split in ("val", "test") for name in ("loss", "accuracy")]
            values = {tag: record[tag] for tag in tags if isinstance(record.get(tag), (int, float))}
            best = choose_better(best, Evaluation(epoch["epoch"], record.get("step", 0), values, {}))
    return best


def starts_again(trainer: L.Trainer) -> bool:
    """Return whether `best.ckpt` is chosen without earlier evaluations, as if a run continues in another folder."""
    callbacks = [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, EpochCheckpoint)]
    return any(callback.monitor and callback.best_model_score is None for callback in callbacks)
