"""Options of the Trainer: their types, their limits, and the commands on which they have an effect."""

import os
import re
import typing
from collections.abc import Iterator
from typing import Any

import lightning as L
from jsonargparse import Namespace
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from classifier.errors import SettingError, require
from classifier.hparams import LOCAL_PATH, Limit, check_limit, within
from classifier.runs.records import COMMAND_DEFAULTS


class Trainer(L.Trainer):
    """Lightning's Trainer with the types of some arguments in an order that keeps 1 apart from 1.0.

    `1` is one batch and `1.0` all batches. jsonargparse tries the types of a union in order, and a float accepts both.
    Lightning declares `Optional[Union[int, float]]`, which Python's cache of types replaces by an equal type with the
    float first, if any other module has created that one before.

    Args:
        limit_train_batches: Training batches per epoch, as a number (such as 1) or as a fraction (such as 1.0).
        limit_val_batches: Batches of every evaluation after an epoch, as a number or as a fraction.
        limit_test_batches: Batches of `test`, as a number or as a fraction.
        limit_predict_batches: Batches of `Trainer.predict`, as a number or as a fraction.
        **kwargs: Further arguments of Lightning's Trainer.
    """

    def __init__(
        self,
        *,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        limit_test_batches: int | float | None = None,
        limit_predict_batches: int | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            limit_train_batches=limit_train_batches,
            limit_val_batches=limit_val_batches,
            limit_test_batches=limit_test_batches,
            limit_predict_batches=limit_predict_batches,
            **kwargs,
        )


def get_trainer_defaults() -> dict[str, Any]:
    """Return the settings that differ from Lightning's defaults."""
    return {
        **COMMAND_DEFAULTS,
        # One device, because more would make a recipe's batches larger, unless torchrun has started more.
        "devices": int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        "num_nodes": int(os.environ.get("GROUP_WORLD_SIZE", "1")),
    }


def get_seconds(duration: Any) -> float:
    """Return the number of seconds of a duration, or NaN if it is none.

    Args:
        duration: A duration as Lightning's `max_time` takes it: "DD:HH:MM:SS", a timedelta, or its arguments as a dict.
    """
    try:
        return Timer(duration).time_remaining() or 0.0
    except (MisconfigurationException, TypeError, ValueError, OverflowError):
        return float("nan")


def is_batch_limit(value: Any) -> bool:
    """Return whether a value is a number of batches, or a fraction of all batches as a float from 0 to 1."""
    return 0 <= value <= MANY and (value <= 1 or value == int(value))


def is_validation_interval(value: Any) -> bool:
    """Return whether a value is a number of batches, a fraction of an epoch above 0, or a duration above 0."""
    if isinstance(value, (int, float)):
        return 0 < value <= MANY and (isinstance(value, int) or value <= 1)
    return get_seconds(value) > 0


def is_number_of_devices(value: Any) -> bool:
    """Return whether a value is -1 or a number from 1 to 256; Lightning checks lists, and strings without a number."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d+\s*", value):
        value = int(value[:20])
    return value == -1 or 1 <= value <= 256 if isinstance(value, int) else True


MANY = 10**12  # more epochs, steps or batches than any run has

COUNT: Limit = within(1, MANY)
BATCHES: Limit = ("a number of batches, or a fraction from 0.0 to 1.0 of them", is_batch_limit)
# An option that is not given is None, which satisfies every limit.
TRAINER_LIMITS: dict[str, Limit] = {
    "accumulate_grad_batches": COUNT,
    "check_val_every_n_epoch": COUNT,
    "default_root_dir": LOCAL_PATH,
    "devices": ("-1 for all, or from 1 to 256", is_number_of_devices),
    "fast_dev_run": within(0, MANY),
    "gradient_clip_val": within(0, MANY),
    "limit_predict_batches": BATCHES,
    "limit_test_batches": BATCHES,
    "limit_train_batches": BATCHES,
    "limit_val_batches": BATCHES,
    "log_every_n_steps": within(0, MANY),
    "max_epochs": ("above 0, or -1 for no limit", lambda epochs: epochs == -1 or 0 < epochs <= MANY),
    "max_steps": ("above 0, or -1 for no limit", lambda steps: steps == -1 or 0 < steps <= MANY),
    "max_time": ("a time above 0, such as 00:12:00:00 for 12 hours", lambda duration: get_seconds(duration) > 0),
    "min_epochs": within(0, MANY),
    "min_steps": within(0, MANY),
    "num_nodes": within(1, 100_000),
    "num_sanity_val_steps": ("at least 0, or -1 for all batches", lambda steps: -1 <= steps <= MANY),
    "overfit_batches": BATCHES,
    "reload_dataloaders_every_n_epochs": within(0, MANY),
    "val_check_interval": (
        "a number of batches above 0, a fraction of an epoch above 0.0, or a time such as 00:00:10:00",
        is_validation_interval,
    ),
}

TRAINING_OPTIONS = (
    *("accumulate_grad_batches", "check_val_every_n_epoch", "detect_anomaly", "enable_autolog_hparams"),
    *("gradient_clip_algorithm", "gradient_clip_val", "limit_train_batches", "log_every_n_steps", "logger"),
    *("max_epochs", "max_steps", "max_time", "min_epochs", "min_steps", "num_sanity_val_steps"),
    *("reload_dataloaders_every_n_epochs", "val_check_interval"),
    *("enable_checkpointing", "enable_model_summary", "sync_batchnorm"),
)
# Options of the Trainer that have no effect on any command, and why.
NEVER_USED = {
    "limit_predict_batches": "leave it out",
    "model_registry": "checkpoints are local files",
    "use_distributed_sampler": "every process always gets its own images",
}
# Options of the Trainer that have no effect on a command, and what to use in place of one of them.
WITHOUT_EFFECT = {
    "fit": {**NEVER_USED, "limit_test_batches": "--trainer.limit_val_batches limits the evaluation after every epoch"},
    "validate": NEVER_USED | dict.fromkeys((*TRAINING_OPTIONS, "limit_test_batches"), "leave it out"),
    "test": NEVER_USED | dict.fromkeys((*TRAINING_OPTIONS, "limit_val_batches", "overfit_batches"), "leave it out"),
}
# Values that ask for nothing.
WITHOUT_WISH = {"use_distributed_sampler": ("true",)}
# The batches without which a command does nothing.
REQUIRED_BATCHES = {"fit": "limit_train_batches", "validate": "limit_val_batches", "test": "limit_test_batches"}


def list_typed_options(argv: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the Trainer options on a command line with their values, such as ("max_epochs", "3")."""
    for argument, following in zip(argv, [*argv[1:], ""], strict=False):
        option, equals, value = argument.partition("=")
        if option.startswith("--trainer."):
            yield option.split(".")[1], value if equals else following


def check_typed_options(command: str, argv: list[str]) -> None:
    """Check that the Trainer options on the command line have an effect on a command.

    A file is not checked, because the same recipe serves several commands.

    Args:
        command: "fit", "validate" or "test".
        argv: Command-line arguments after the command's name, as the user has typed them.

    Raises:
        SettingError: An option has no effect, and its value is not one that asks for nothing, such as false or null.
    """
    for name, value in list_typed_options(argv):
        if name in WITHOUT_EFFECT[command] and value not in WITHOUT_WISH.get(name, ("false", "null")):
            raise SettingError(f"--trainer.{name} has no effect on {command}: {WITHOUT_EFFECT[command][name]}")


def check_trainer_options(trainer: Namespace, command: str) -> None:
    """Check the settings of the Trainer against their limits, and against each other.

    Args:
        trainer: The parsed settings.
        command: "fit", "validate" or "test".

    Raises:
        SettingError: A value is out of range, or the command would do nothing.
    """
    for name, hint in typing.get_type_hints(L.Trainer.__init__).items():
        takes_none = type(None) in typing.get_args(hint)
        require(trainer.get(name, "") is not None or takes_none, f"trainer.{name} must have a value, not null")
    for name, limit in TRAINER_LIMITS.items():
        if trainer[name] is not None:
            check_limit(f"trainer.{name}", trainer[name], limit)
    for unit in ("epochs", "steps"):
        least, most = trainer[f"min_{unit}"], trainer[f"max_{unit}"]
        require(
            None in (least, most) or most == -1 or least <= most,
            f"trainer.min_{unit} must not be above trainer.max_{unit}, {least} is above {most}",
        )
    require(not trainer.barebones, "trainer.barebones switches off the metrics and checkpoints of a run: leave it out")
    name = REQUIRED_BATCHES[command]
    batches = trainer.fast_dev_run or (command != "test" and trainer.overfit_batches) or trainer[name]
    require(batches != 0, f"trainer.{name} must be above 0, because {command} does nothing with {batches}")
    require(
        trainer.gradient_clip_algorithm is None or trainer.gradient_clip_val is not None,
        "trainer.gradient_clip_algorithm has no effect without trainer.gradient_clip_val: add it",
    )
