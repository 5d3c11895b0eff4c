"""The loggers of a run, the first of which names its folder: every run has one, whatever its loggers are.

| trainer.logger | loggers | folder |
| --- | --- | --- |
| not set, or true | TensorBoard | `lightning_logs/version_N` in `default_root_dir` |
| one logger, such as MLFlowLogger | that logger | the same, without events for TensorBoard |
| a list, such as that of `+=` | TensorBoard, and these loggers | the same |
| first a TensorBoardLogger, or only a CSVLogger | these loggers | that of this logger |
"""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from jsonargparse import Namespace
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from classifier.cli.config_types import find_imported
from classifier.cli.resolve import ResolvedArgv
from classifier.cli.trainer_parts import list_parts
from classifier.cli.trainer_setup import is_first_process
from classifier.errors import require
from classifier.runs.events import restore_points
from classifier.runs.folders import LOGS, create_run_dir, lock_run_dir
from classifier.runs.history import record_start
from classifier.runs.logger import RunCSVLogger, RunFolder, RunLogger

# Loggers that write to a folder, and the classes that take their place, because they can continue what they wrote.
FOLDER_LOGGERS: dict[Any, type[RunLogger] | type[RunCSVLogger]] = {
    TensorBoardLogger: RunLogger,
    CSVLogger: RunCSVLogger,
}


class Place(NamedTuple):
    """Where a run is stored: the folder that contains that of the run, and the run's name, or None for version_N."""

    logs: Path
    name: str | None


def keeps_run(trainer: Namespace) -> bool:
    """Return whether a run with these settings of the Trainer has a folder."""
    return (bool(trainer.logger) or trainer.logger is None) and not trainer.fast_dev_run


def list_loggers(trainer: Namespace) -> list[tuple[Any, Namespace]]:
    """Return the classes and the arguments of the loggers in the parsed settings of the Trainer."""
    specs = [] if isinstance(trainer.logger, bool) else list_parts(trainer.logger)
    return [
        (find_imported(spec.class_path), Namespace(**(spec.get("init_args") or {}), **(spec.get("dict_kwargs") or {})))
        for spec in specs
    ]


def adds_tensorboard(trainer: Namespace) -> bool:
    """Return whether a run writes to TensorBoard in addition to its own loggers, if it has any."""
    loggers = list_loggers(trainer)
    return not loggers or (isinstance(trainer.logger, list) and all(cls is not TensorBoardLogger for cls, _ in loggers))


def find_place(trainer: Namespace, name: str | None = None) -> Place:
    """Return where the parsed settings of the Trainer store a new run.

    Args:
        trainer: The settings.
        name: Name of the run, or None.

    Raises:
        SettingError: The name is given twice.
    """
    if adds_tensorboard(trainer) or list_loggers(trainer)[0][0] not in FOLDER_LOGGERS:
        return Place(Path(trainer.default_root_dir or ".", LOGS), name)
    arguments = list_loggers(trainer)[0][1]
    version = arguments.version if isinstance(arguments.version, str | None) else f"version_{arguments.version}"
    require(None in (name, version), f"--name {name}: the run is named by --trainer.logger.version {version} already")
    return Place(Path(arguments.save_dir, arguments.name or ""), name or version)


def make_loggers(trainer: Namespace, built: Any, resumed_run: Path | None, name: str | None) -> list[Logger]:
    """Create the folder of a run, unless it is resumed, and return the run's loggers; the first one names the folder.

    TensorBoardLoggers and CSVLoggers without a version get the name of the run as their version.

    Args:
        trainer: The parsed settings of the Trainer.
        built: The loggers that were built from these settings: None, True, one logger or a list of them.
        resumed_run: Folder of the run to resume, or None.
        name: Name of a new run, or None.

    Raises:
        UserError: The folder exists already, or cannot be created.
    """
    place = find_place(trainer, name)
    # Only the first process writes, and Lightning passes on its folder to the others.
    run_dir = resumed_run or (create_run_dir(*place) if is_first_process() else place.logs / "version_0")
    loggers = [] if isinstance(built, bool) else list_parts(built)
    for i, (cls, arguments) in enumerate(list_loggers(trainer)):
        if cls not in FOLDER_LOGGERS:
            continue
        own = arguments.as_dict()
        if own["version"] is None or (i == 0 and not adds_tensorboard(trainer)):
            own["version"] = run_dir.name
        if i == 0 and not adds_tensorboard(trainer):  # its folder is that of the run, also if the run was moved
            own["save_dir"], own["name"] = split_folder(run_dir)
        loggers[i] = FOLDER_LOGGERS[cls](**own)
    if adds_tensorboard(trainer):
        save_dir, parent = split_folder(run_dir)
        return [RunLogger(save_dir, parent, run_dir.name, default_hp_metric=False), *loggers]
    is_named = isinstance(loggers[0], RunLogger) and not loggers[0].sub_dir
    return loggers if is_named else [RunFolder(run_dir, loggers[0]), *loggers]


def split_folder(run_dir: Path) -> tuple[Path, str]:
    """Return the arguments `save_dir` and `name` of a logger that writes to a run's folder."""
    return run_dir.parent.parent, run_dir.parent.name


@contextlib.contextmanager
def open_run(
    trainer: L.Trainer, loggers: list[Logger], resolved: ResolvedArgv, checkpoint: dict[str, Any]
) -> Iterator[None]:
    """Set the loggers of a Trainer, and hold the lock on the run's folder while the context is open.

    If the run is resumed, what the loggers wrote after its checkpoint is removed.

    Args:
        trainer: The Trainer.
        loggers: The loggers, the first of which names the folder.
        resolved: The command line.
        checkpoint: Contents of the checkpoint that training starts from; empty if there is none.

    Raises:
        UserError: Another process holds the lock.
    """
    trainer.loggers = loggers
    if not is_first_process():
        yield
        return
    run_dir = Path(str(loggers[0].log_dir))
    with lock_run_dir(run_dir), finish_wandb(loggers):
        record_start(run_dir)
        for logger in loggers if resolved.resumed_run else ():
            restore_points(logger, resolved.position, checkpoint)
        yield


@contextlib.contextmanager
def finish_wandb(loggers: list[Logger]) -> Iterator[None]:
    """Finish the run at Weights & Biases when the context ends; otherwise, the next seed's points would go there, too.

    Args:
        loggers: The loggers of the run. If there is no WandbLogger among them, nothing is done.
    """
    is_used = any(isinstance(logger, WandbLogger) for logger in loggers)
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        if is_used:
            importlib.import_module("wandb").finish(exit_code)
