"""Make the TensorBoard and CSV files of a run that is resumed agree with its checkpoint."""

from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from classifier.callbacks.epoch_metrics import SPLITS
from classifier.callbacks.loop_state import Position
from classifier.callbacks.running_loss import TAG as RUNNING_LOSS
from classifier.callbacks.running_loss import list_points
from classifier.files import atomic_write
from classifier.runs.logger import RunCSVLogger, RunLogger

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


def restore_points(logger: Logger, position: Position, checkpoint: dict[str, Any]) -> None:
    """Make the points of a run those of the checkpoint from which it continues.

    Points that were logged later are removed. Points of epochs in the checkpoint that are missing are logged again; the
    run may have been continued from an earlier checkpoint, and stopped, in the meantime.

    Args:
        logger: A logger of the run; nothing is done for one of another kind. No process may be writing to its folder.
        position: Position in training at the checkpoint.
        checkpoint: Contents of the checkpoint.
    """
    if not isinstance(logger, (RunLogger, RunCSVLogger)):
        return  # a service, or a class of the user's own
    start = f"{logger.prefix}{logger.LOGGER_JOIN_CHAR}" if logger.prefix else ""
    if isinstance(logger, RunCSVLogger):
        found = remove_later_rows(logger, position, checkpoint["global_step"], start)
    else:
        found = remove_later_points(Path(logger.log_dir), position, checkpoint["global_step"], start)
    present = {(tag.removeprefix(start), step) for tag, step in found}
    for step, loss in list_points(checkpoint):
        log_missing(logger, {RUNNING_LOSS: loss}, step, present)
    for epoch in checkpoint.get("callbacks", {}).get("ResultsRecorder", {}).get("epochs", ()):
        if epoch["epoch"] <= position.epochs:
            log_missing(logger, {tag: epoch.get(tag) for tag in SCALARS}, epoch["epoch"], present)
            for evaluation in epoch.get("evaluations", ()):
                values = {f"{tag}_by_step": value for tag, value in evaluation.items() if tag != "step"}
                log_missing(logger, values, evaluation["step"], present)


def log_missing(logger: Logger, values: dict[str, Any], step: int, present: set[tuple[str, int]]) -> None:
    """Log the values that are numbers and not present yet, as pairs of a tag and a step."""
    missing = {tag: value for tag, value in values.items() if value is not None and (tag, step) not in present}
    if missing:
        logger.log_metrics(missing, step)


def remove_later_rows(logger: RunCSVLogger, position: Position, steps: int, start: str = "") -> set[tuple[str, int]]:
    """Remove the rows of a CSV file that were logged after the checkpoint from which a run continues.

    Args:
        logger: The logger that writes the file.
        position: Position in training at the checkpoint.
        steps: Number of optimizer steps that were completed at the checkpoint.
        start: What the names of all its columns begin with, which may be nothing.

    Returns:
        The remaining points, as pairs of a column and a step.
    """
    present, kept = set(), []
    for row in logger.read_points():
        tags, step = row.keys() - {"step"}, int(row["step"])
        if not is_later({tag.removeprefix(start) for tag in tags}, step, position, steps):
            present |= {(tag, step) for tag in tags}
            kept.append(row)
    logger.replace_points(kept)
    return present


def remove_later_points(run_dir: Path, position: Position, steps: int, start: str = "") -> set[tuple[str, int]]:
    """Remove the points in TensorBoard that were logged after the checkpoint from which a run continues.

    TensorBoard itself can only discard all points from a position on the x axis on, whatever their axis means.

    Args:
        run_dir: Folder of the events; no process may be writing to it.
        position: Position in training at the checkpoint.
        steps: Number of optimizer steps that were completed at the checkpoint.
        start: What all tags begin with, which may be nothing.

    Returns:
        The remaining points, as pairs of a tag and a step.
    """
    present = set()
    for path in sorted(run_dir.glob("events.out.tfevents.*")):
        kept, total = [], 0
        for total, record in enumerate(read_records(path), start=1):  # noqa: B007 the last number is the total
            event = Event.FromString(record)
            tags = {value.tag for value in event.summary.value}
            if not is_later({tag.removeprefix(start) for tag in tags}, event.step, position, steps):
                present |= {(tag, event.step) for tag in tags}
                kept.append(record)
        if len(kept) < total:
            with atomic_write(path) as unfinished, unfinished.open("wb") as file:
                writer = RecordWriter(file)
                for record in kept:
                    writer.write(record)
    return present


def read_records(path: Path) -> Iterator[bytes]:
    """Yield the complete records of a TensorBoard file; the last one is incomplete after a crash."""
    yield from RawEventFileLoader(str(path)).Load()


def is_later(tags: Set[str], step: int, position: Position, steps: int) -> bool:
    """Return whether a point was logged after a position in training, at which `steps` optimizer steps were done.

    Args:
        tags: Names of its values, without what the logger adds to them; none for the version of an event file.
        step: Its position on the x axis.
        position: Position in training.
        steps: Number of completed optimizer steps at that position.
    """
    if tags <= EPOCH_TAGS:
        return bool(tags) and step > position.epochs
    if tags == {RUNNING_LOSS}:
        return step > steps
    if all(tag.endswith("by_step") for tag in tags):
        return step > steps - position.evaluation_pending
    return step >= steps  # Lightning logs the first step at 0
