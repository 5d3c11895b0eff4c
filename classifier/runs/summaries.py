"""Summaries of all runs in a folder: settings, progress, metrics of the epoch that is kept, size and state.

PyTorch is not imported, and the checkpoints are not read.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.errors import UserError
from classifier.runs.folders import is_locked
from classifier.runs.history import LOGS, list_checkpoints, list_runs
from classifier.runs.records import flatten, read_mapping, take

FILES = ("results.json", "config.yaml")
SELECTION = "accuracy/val"  # the metric that best.ckpt maximises
LARGEST = 1e300
FAILURE = re.compile(r"interrupted$|\w*(Error|Exception|Exit)\b")  # how "stopped" begins after an error
# Values of an epoch that are no results, in addition to those of the training images.
NOT_RESULTS = ("epoch", "lr", "seconds", "batches", "batches_per_epoch", "step", "speed/images_per_second")


@dataclass(frozen=True)
class RunSummary:
    """What the table of runs shows of a run.

    Args:
        name: Name of the run, such as "version_3"; the path of its folder if it is stored elsewhere.
        folder: Folder of the run.
        settings: All settings in `config.yaml` by names such as "model.lr", with "model" and "data" for the classes.
            Without this file, those of the network and the data in `results.json`.
        seed: Seed of the run, or None if it is not known.
        epochs: Number of epochs that are done.
        best_epoch: Number, from 1, of the epoch with the highest validation accuracy; None without such images.
        metrics: Results of the best epoch or, without validation images, of the last one. One without a value is left
            out.
        size: Size of all files in the folder in bytes.
        state: "running", "finished", or "stopped" before the end.
    """

    name: str
    folder: Path
    settings: dict[str, Any]
    seed: int | None
    epochs: int
    best_epoch: int | None
    metrics: dict[str, float]
    size: int
    state: str


def find_runs(folder: Path = Path(LOGS)) -> tuple[list[RunSummary], list[Path], int]:
    """Return the runs in a folder and those recorded in it, in the order in which they were started or resumed.

    Args:
        folder: Folder that contains the folders of runs.

    Returns:
        The runs, the folders of runs whose files are damaged, and the number of folders in `folder` that are no runs.

    Raises:
        UserError: The folder cannot be read.
    """
    try:
        own = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}; give the folder that contains runs") from error
    started = list_runs(folder)  # in their order; without those that were not started by the command line
    known = set(map(os.path.realpath, started))
    found = [*(path for path in own if os.path.realpath(path) not in known and is_run(path)), *started]
    runs, damaged = [], []
    for path in found:
        try:
            runs.append(read_summary(path, path.name if path.parent == folder else str(path)))
        except UserError:
            damaged.append(path)
    num_others = len(own) - sum(path.parent == folder for path in found)
    return runs, damaged, num_others


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run: it has one of its files, or checkpoints."""
    return any((folder / name).is_file() for name in FILES) or bool(list_checkpoints(folder))


def read_summary(folder: Path, name: str | None = None) -> RunSummary:
    """Return the summary of a run.

    Args:
        folder: Folder of the run.
        name: Name of the run; None for that of its folder.

    Raises:
        UserError: `results.json` or `config.yaml` is damaged.
    """
    results, config = (read_mapping(folder / file) if (folder / file).is_file() else {} for file in FILES)
    epochs = take(results, "epochs", list, folder / FILES[0]) or []
    if not all(isinstance(epoch, dict) and isinstance(epoch.get("epoch"), int) for epoch in epochs):
        raise UserError(f"{folder / FILES[0]} is damaged: an epoch has no number")
    settings = list_settings(config) if config else list_recorded_settings(results)
    best, last = find_best(results, epochs), epochs[-1] if epochs else {}
    return RunSummary(
        name or folder.resolve().name,
        folder,
        settings,
        take(results, "seed", int, folder / FILES[0]) if results else settings.get("seed_everything"),
        sum("batches" not in epoch for epoch in epochs),
        best["epoch"] if best else None,
        list_metrics(best or last),
        sum(list_sizes(folder)),
        "running" if is_locked(folder) else "finished" if is_finished(results, last, settings) else "stopped",
    )


def list_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a `config.yaml` under names such as "model.lr", and the classes as "model" and "data"."""
    return {name.removesuffix(".class_path"): shorten_class(name, value) for name, value in flatten(config)}


def list_recorded_settings(results: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of network and data that a `results.json` contains, by names such as "model.lr"."""
    recorded = results.get("hyperparameters")
    classes = {name: results.get(name) for name in ("model", "data")}
    return {**classes, **(dict(flatten(recorded)) if isinstance(recorded, dict) else {})}


def shorten_class(name: str, value: Any) -> Any:
    """Return the name of a class of this package without the package; other values are returned unchanged."""
    is_class = name.endswith(".class_path") and isinstance(value, str)
    return value.removeprefix("classifier.") if is_class else value


def find_best(results: dict[str, Any], epochs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the record of the epoch with the best evaluation, or None if there are no validation images.

    That evaluation, which can be one within the epoch, is recorded as "best", except by older versions.
    """
    evaluated = [epoch for epoch in epochs if is_number(epoch.get(SELECTION))]
    best = max(evaluated, key=lambda epoch: epoch[SELECTION], default=None)
    recorded = results.get("best")
    if not isinstance(recorded, dict) or not isinstance(number := recorded.get("epoch"), int):
        return best
    return {**next((epoch for epoch in epochs if epoch["epoch"] == number), {}), **recorded}


def list_metrics(epoch: dict[str, Any]) -> dict[str, float]:
    """Return the metrics of an epoch except those of the training images: first accuracies, then losses, then others.

    Validation images come before test images. Metrics that the network logs itself are among the others.
    """
    names = [f"{metric}/{split}" for metric in ("accuracy", "loss") for split in ("val", "test")]
    names += [name for name in epoch if name not in (*names, *NOT_RESULTS, "accuracy/train", "loss/train")]
    return {name: epoch[name] for name in names if is_number(epoch.get(name))}


def is_number(value: Any) -> bool:
    """Return whether a value is a finite int or float that a float can represent, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def is_finished(results: dict[str, Any], last: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Return whether a run has done all epochs, or has stopped for another reason than an error or an interruption."""
    max_epochs = settings.get("trainer.max_epochs")
    is_done = isinstance(max_epochs, int) and 0 < max_epochs <= last.get("epoch", 0) and "batches" not in last
    reason = results.get("stopped")
    return is_done or (isinstance(reason, str) and not FAILURE.match(reason))


def list_sizes(folder: Path) -> Iterator[int]:
    """Yield the sizes in bytes of all files in a folder. What another process removes at the same time is skipped."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from list_sizes(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size
