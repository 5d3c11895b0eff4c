"""Callbacks and plugins that the command line adds to a Trainer."""

import shlex
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only

from classifier.callbacks.checkpointing import AtomicCheckpointIO, EpochCheckpoint
from classifier.callbacks.completeness import CompletenessCheck
from classifier.callbacks.recorder import ResultsRecorder
from classifier.callbacks.sigterm import KeepSigtermHandler
from classifier.callbacks.tensorboard import TensorBoardReporter
from classifier.cli import PROG
from classifier.cli.resolve import ResolvedArgv
from classifier.cli.trainer_parts import list_parts, make_printers
from classifier.data.base import ImageDataModule
from classifier.data.training_record import check_training_set
from classifier.models.base import ImageClassifier


def make_evaluation_callbacks(settings: Any) -> list[Callback]:
    """Return the callbacks that every command uses; `settings` are those of the Trainer."""
    return [KeepSigtermHandler(), CompletenessCheck(), *make_printers(settings)]


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


def check_resumed_data(model: ImageClassifier, data: ImageDataModule, resolved: ResolvedArgv) -> None:
    """Check that the training set is that of the checkpoint that the network has loaded.

    Raises:
        UserError: The training set differs. The message has the command that starts a new run.
    """
    if model.training_record is not None:
        data.setup("fit")
        config = ["--config", f"{resolved.resumed_run}/config.yaml"] if resolved.resumed_run else []
        check_training_set(model.training_record, data, f"{PROG} {shlex.join(['fit', *config])}")


def is_first_process() -> bool:
    """Return whether this process has rank 0; this also works before the process group is initialised."""
    return getattr(rank_zero_only, "rank", 0) == 0
