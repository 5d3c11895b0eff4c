"""Check the metrics that callbacks and learning rate schedules monitor before a run starts."""

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn

from classifier.class_paths import PACKAGE
from classifier.data.dataset import ImageDataset
from classifier.errors import SettingError

METRICS = ("loss", "accuracy")
KNOWN_PACKAGES = {PACKAGE, "lightning", "torch", *sys.stdlib_module_names}
# In the code of a class that logs metrics: the first argument of a call, which may be a text.
LOGS = re.compile(r"\blog(?:_dict)?\(\s*(?:name=)?([^,)\s]*)|(callback_metrics\[)")


def check_monitors(trainer: L.Trainer) -> None:
    """Check that all monitored metrics exist, and warn if their worst value would be taken for their best one.

    A metric that this package does not log is accepted if a class of the user's own may log it.

    Args:
        trainer: The Trainer, at the start of training.

    Raises:
        SettingError: A callback or a schedule monitors a metric that the run does not have.
    """
    splits = list_splits(trainer)
    names = [f"{metric}/{split}" for split in splits for metric in METRICS] + ["lr", "speed/images_per_second"]
    for part, monitor in list_monitors(trainer):
        title, mode = type(part).__name__, getattr(part, "mode", None)
        if monitor not in names and not may_be_logged(trainer, part, monitor):
            holds_out = trainer.enable_validation and monitor.endswith("/val")
            advice = "; --data.val_split 0.1 holds out validation images" if holds_out else ""
            raise SettingError(
                f"{title} monitors {monitor}, which this run does not have; its metrics are {', '.join(names)}{advice}"
            )
        if monitor.endswith("/test"):
            rank_zero_warn(
                f"{title} monitors {monitor}, so the test images decide when training ends, and their results are no "
                f"longer independent: monitor {monitor.removesuffix('/test')}/val"
            )
        better, best = ("rises", "max") if monitor.startswith("accuracy/") else ("falls", "min")
        if monitor.startswith(METRICS) and mode in ("min", "max") and mode != best:
            rank_zero_warn(
                f"{title} takes {monitor} for worse when it {better}, because its mode is {mode}: set mode {best}"
            )


def list_splits(trainer: L.Trainer) -> list[str]:
    """Return the splits whose metrics a run has: "train" and those that are evaluated."""
    if not trainer.enable_validation:
        return ["train"]
    loaders = trainer.val_dataloaders
    if loaders is None:  # if no evaluation is due after the first epoch
        found = set(getattr(trainer.datamodule, "datasets", {"val": None}))
    else:
        datasets = [
            getattr(loader, "dataset", None) for loader in (loaders if isinstance(loaders, list) else [loaders])
        ]
        found = {dataset.split if isinstance(dataset, ImageDataset) else "val" for dataset in datasets}
    return [split for split in ("train", "val", "test") if split in {"train", *found}]


def list_monitors(trainer: L.Trainer) -> Iterator[tuple[Any, str]]:
    """Yield the callbacks and the schedules that monitor a metric, with its name."""
    for callback in trainer.callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and getattr(callback, "strict", True):
            yield callback, monitor
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau and config.monitor and config.strict:
            yield config.scheduler, config.monitor


def may_be_logged(trainer: L.Trainer, part: Any, monitor: str) -> bool:
    """Return whether a metric of another name may be logged during the run.

    Args:
        trainer: The Trainer.
        part: The callback or schedule that monitors it.
        monitor: Name of the metric.
    """
    if isinstance(part, ModelCheckpoint) and monitor in ("epoch", "step"):
        return True
    callbacks = trainer.callbacks
    if monitor.startswith("lr-") and any(isinstance(callback, LearningRateMonitor) for callback in callbacks):
        return True
    if re.fullmatch(f"({'|'.join(METRICS)})/(val|test)", monitor):  # a network logs these for the splits that exist
        return False
    classes = {base for thing in (*callbacks, trainer.lightning_module) for base in type(thing).__mro__}
    modules = {base.__module__ for base in classes}
    return any(may_log(module, monitor) for module in modules if module.partition(".")[0] not in KNOWN_PACKAGES)


def may_log(module: str, monitor: str) -> bool:
    """Return whether the code of a module may log a metric, or cannot be read, as in a notebook."""
    try:
        names = [first for first, _ in LOGS.findall(inspect.getsource(sys.modules[module]))]
    except (OSError, TypeError, KeyError):
        return True
    # A plain text is the name of one metric; a variable, an f-string or a dict can stand for any.
    return any(name[:1] not in ("'", '"') or name.strip("'\"") == monitor for name in names)
