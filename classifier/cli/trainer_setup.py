"""Callbacks, plugins and loggers that the command line adds to a Trainer."""

import os
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from classifier.callbacks.checkpointing import AtomicCheckpointIO, EpochCheckpoint
from classifier.callbacks.recorder import ResultsRecorder
from classifier.callbacks.sigterm import KeepSigtermHandler
from classifier.callbacks.tensorboard import TensorBoardReporter
from classifier.cli.resolve import ResolvedArgv
from classifier.cli.trainer_parts import list_parts, make_printers
from classifier.errors import require
from classifier.runs.folders import LOGS, create_run_dir


def make_evaluation_callbacks(settings: Any) -> list[Callback]:
    """Return the callbacks that every command uses; `settings` are those of the Trainer."""
    return [KeepSigtermHandler(), *make_printers(settings)]


def make_fit_callbacks(settings: Any, pictures: bool, has_validation_images: bool) -> list[Callback]:
    """Return the callbacks that only `fit` uses.

    Args:
        settings: Settings of the Trainer.
        pictures: Whether to write images to TensorBoard.
        has_validation_images: Whether there are validation images, on which the best epoch is selected.
    """
    callbacks: list[Callback] = [ResultsRecorder(), TensorBoardReporter(pictures)]
    if settings.enable_checkpointing is not False:
        if has_validation_images:
            # Before "last", which therefore contains the state of "best" as of the same epoch.
            callbacks.append(EpochCheckpoint("best", monitor="accuracy/val"))
        callbacks.append(EpochCheckpoint("last"))
    return callbacks


def make_plugins(plugins: Any) -> list[Any]:
    """Return the user's plugins, and AtomicCheckpointIO unless they already contain a CheckpointIO."""
    given = list_parts(plugins)
    return given if any(isinstance(plugin, CheckpointIO) for plugin in given) else [*given, AtomicCheckpointIO()]


def make_logger(root: str, resolved: ResolvedArgv) -> TensorBoardLogger:
    """Return a TensorBoardLogger for a new run, or for the run to resume.

    Args:
        root: Folder that contains `lightning_logs`.
        resolved: The command line.

    Raises:
        UserError: The folder of the run cannot be created.
    """
    version: str | None
    if run := resolved.resumed_run:
        folder, version = run.parent.parent, run.name
    else:
        folder = Path(root)
        version = create_run_dir(folder / LOGS) if is_first_process() else None
    return TensorBoardLogger(folder, LOGS, version, default_hp_metric=False)


def is_first_process() -> bool:
    """Return whether this process has rank 0; this also works before the process group is initialised."""
    return getattr(rank_zero_only, "rank", 0) == 0


def check_processes(trainer: L.Trainer, seeds: int, creates_run: bool) -> None:
    """Check the number of started processes.

    Args:
        trainer: The Trainer.
        seeds: Number of runs that `--seeds` trains.
        creates_run: Whether every run creates a folder.

    Raises:
        SettingError: The number differs from the Trainer's world size, or there are several runs and either several
            processes or no folder for a run.
    """
    started = int(os.environ.get("WORLD_SIZE", trainer.world_size))
    require(
        started == trainer.world_size,
        f"{started} processes were started, but --trainer.devices and --trainer.num_nodes ask for "
        f"{trainer.world_size}: make them agree",
    )
    require(
        seeds == 1 or (started == 1 and creates_run),
        "--seeds trains in one process and keeps its runs: leave out --trainer.devices and --trainer.logger, or "
        "start every run by itself, with a --seed_everything of its own",
    )
