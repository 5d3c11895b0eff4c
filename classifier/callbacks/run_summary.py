"""The last lines of a run: its best epoch, why it stopped, and how to continue with the result."""

import os

import lightning as L

from classifier.callbacks.class_table import format_accuracies
from classifier.callbacks.epoch_metrics import SPLITS, get_epoch_metrics
from classifier.callbacks.reporting import (
    find_events,
    find_kept_checkpoint,
    get_class_labels,
    get_reported_split,
)
from classifier.callbacks.stop_reason import describe_stop, reached_max_epochs
from classifier.class_paths import PACKAGE
from classifier.errors import make_printable, quote_path

PROG = "python -m classifier"


def summarize_run(trainer: L.Trainer) -> list[str]:
    """Return the lines that are printed when training has ended without an error."""
    metrics, split, kept = get_epoch_metrics(trainer), get_reported_split(trainer), find_kept_checkpoint(trainer)
    is_best = metrics.best is not None and kept is not None and kept[0] == "best"
    lines = [] if reached_max_epochs(trainer) else [f"stopped: {describe_stop(trainer)}"]
    if is_best:
        lines.append(f"best epoch: {describe_best_epoch(trainer)}")
    scores = metrics.best.class_accuracies if metrics.best is not None and is_best else metrics.class_accuracies
    if split in scores and (is_best or f"loss/{split}" in metrics.values):
        accuracies = dict(zip(get_class_labels(trainer.lightning_module), scores[split], strict=False))
        lines += ["", *format_accuracies(split, accuracies, f", epoch {metrics.best.epoch}" if is_best else "")]
    return [*lines, *describe_folder(trainer)]


def describe_best_epoch(trainer: L.Trainer) -> str:
    """Return the number of the best epoch, and its loss and accuracy on the validation and test images."""
    best = get_epoch_metrics(trainer).best
    if best is None:
        return ""
    parts = [
        f"{split} loss {best.values[f'loss/{split}']:.4f} accuracy {best.values[f'accuracy/{split}']:.1%}"
        for split in SPLITS
        if f"loss/{split}" in best.values
    ]
    return "  ".join([str(best.epoch), *parts])


def describe_folder(trainer: L.Trainer) -> list[str]:
    """Return the folder of the run, and the commands that use its results; nothing without a folder."""
    if not trainer.loggers or not (folder := trainer.loggers[0].log_dir):
        return []
    lines = ["", f"run: {make_printable(os.path.relpath(folder))}"]
    if events := find_events(trainer):
        lines.append(f"curves: tensorboard --host localhost --logdir {quote_path(events.parent)}")
    if kept := find_kept_checkpoint(trainer):
        parts = (trainer.lightning_module, trainer.datamodule)
        packages = {type(part).__module__.partition(".")[0] for part in parts if part is not None} - {PACKAGE}
        options = "".join(f" --allow_import {name}" for name in sorted(packages - {"__main__"}))
        command = f"{PROG} test --ckpt_path {quote_path(kept[1])}{options}"
        lines.append(f"next: {command}  (also predict IMAGE, report, export)")
    return lines
