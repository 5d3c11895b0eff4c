"""Remove points from the TensorBoard files of a run that is resumed."""

from collections.abc import Iterator
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from classifier.callbacks.epoch_metrics import SPLITS
from classifier.callbacks.loop_state import Position
from classifier.files import atomic_write

# Tags whose x axis is the number of completed epochs; "epoch" was logged by version 0.1.
EPOCH_TAGS = frozenset(
    (
        *(f"{name}/{split}" for name in ("loss", "accuracy") for split in SPLITS),
        *("lr", "speed/images_per_second", "images/train", "predictions/test"),
        *("top_losses/test", "confusion_matrix/test", "epoch"),
    )
)


def remove_later_points(run_dir: Path, position: Position, steps: int) -> None:
    """Remove the points that a run logged after the checkpoint from which it continues.

    TensorBoard itself can only discard all points from a position on the x axis on, whatever their axis means.

    Args:
        run_dir: Folder of the run; no process may be writing to it.
        position: Position in training at the checkpoint.
        steps: Number of optimizer steps that were completed at the checkpoint.
    """
    for path in sorted(run_dir.glob("events.out.tfevents.*")):
        records = list(read_records(path))
        kept = [record for record in records if not is_later(Event.FromString(record), position, steps)]
        if len(kept) == len(records):
            continue
        with atomic_write(path) as unfinished, unfinished.open("wb") as file:
            writer = RecordWriter(file)
            for record in kept:
                writer.write(record)


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
