"""Make the TensorBoard files of a run that is resumed agree with its checkpoint."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from classifier.callbacks.epoch_metrics import SPLITS
from classifier.callbacks.loop_state import Position
from classifier.files import atomic_write

SCALARS = (
    *(f"{name}/{split}" for name in ("loss", "accuracy") for split in SPLITS),
    *("lr", "speed/images_per_second"),
)
# Tags whose x axis is the number of completed epochs; "epoch" was logged by version 0.1.
EPOCH_TAGS = frozenset(
    (
        *SCALARS,
        *(f"{name}/{split}" for name in ("predictions", "top_losses", "confusion_matrix") for split in SPLITS[1:]),
        *("images/train", "epoch"),
    )
)


def restore_points(logger: TensorBoardLogger, position: Position, checkpoint: dict[str, Any]) -> None:
    """Make the points of a run those of the checkpoint from which it continues.

    Points that were logged later are removed. Points of epochs in the checkpoint that are missing are logged again; the
    run may have been continued from an earlier checkpoint, and stopped, in the meantime.

    Args:
        logger: The logger of the run. No process may be writing to its folder.
        position: Position in training at the checkpoint.
        checkpoint: Contents of the checkpoint.
    """
    present = remove_later_points(Path(logger.log_dir), position, checkpoint["global_step"])
    for epoch in checkpoint.get("callbacks", {}).get("ResultsRecorder", {}).get("epochs", ()):
        if epoch["epoch"] <= position.epochs:
            log_missing(logger, {tag: epoch.get(tag) for tag in SCALARS}, epoch["epoch"], present)
            for evaluation in epoch.get("evaluations", ()):
                values = {f"{tag}_by_step": value for tag, value in evaluation.items() if tag != "step"}
                log_missing(logger, values, evaluation["step"], present)


def log_missing(logger: TensorBoardLogger, values: dict[str, Any], step: int, present: set[tuple[str, int]]) -> None:
    """Log the values that are numbers and not present yet, as pairs of a tag and a step."""
    missing = {tag: value for tag, value in values.items() if value is not None and (tag, step) not in present}
    if missing:
        logger.log_metrics(missing, step)


def remove_later_points(run_dir: Path, position: Position, steps: int) -> set[tuple[str, int]]:
    """Remove the points that a run logged after the checkpoint from which it continues.

    TensorBoard itself can only discard all points from a position on the x axis on, whatever their axis means.

    Args:
        run_dir: Folder of the run; no process may be writing to it.
        position: Position in training at the checkpoint.
        steps: Number of optimizer steps that were completed at the checkpoint.

    Returns:
        The remaining points, as pairs of a tag and a step.
    """
    present = set()
    for path in sorted(run_dir.glob("events.out.tfevents.*")):
        events = [(record, Event.FromString(record)) for record in read_records(path)]
        kept = [(record, event) for record, event in events if not is_later(event, position, steps)]
        present |= {(value.tag, event.step) for _, event in kept for value in event.summary.value}
        if len(kept) < len(events):
            with atomic_write(path) as unfinished, unfinished.open("wb") as file:
                writer = RecordWriter(file)
                for record, _ in kept:
                    writer.write(record)
    return present


def read_records(path: Path) -> Iterator[bytes]:
    """Yield the complete records of a TensorBoard file; the last one is incomplete after a crash."""
    yield from RawEventFileLoader(str(path)).Load()


def is_later(event: Event, position: Position, steps: int) -> bool:
    """Return whether an event was logged after a position in training, at which `steps` optimizer steps were done."""
    tags = {value.tag for value in event.summary.value}
    if tags <= EPOCH_TAGS:  # also an event without tags, such as the version of the file
        return bool(tags) and event.step > position.epochs
    if all(tag.endswith("by_step") for tag in tags):
        return event.step > steps - position.evaluation_pending
    return event.step >= steps  # Lightning logs the first step at 0
