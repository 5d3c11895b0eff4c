"""Check and complete a parsed configuration before anything is built from it."""

import inspect
import json
import pydoc
from pathlib import Path
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from classifier.cli.bounded_yaml import read_settings
from classifier.cli.resolve import RECIPES, ResolvedArgv, list_configs, list_given, read_default_recipe
from classifier.cli.trainer_options import check_trainer_options, get_seconds
from classifier.data.own_images.file_base import FileDataModule
from classifier.errors import SettingError, make_printable, require
from classifier.hparams import check_limit, within
from classifier.models.checks import ARGS_FROM_DATA

MAX_SEED = 2**32 - 1  # NumPy accepts no larger seed


def check_config(config: Namespace, resolved: ResolvedArgv, command: str) -> None:
    """Reject settings that are out of range or have no effect, and set `max_epochs` if no setting limits the run.

    Args:
        config: The parsed configuration; it is changed in place.
        resolved: The command line that the configuration was parsed from.
        command: "fit", "validate" or "test".

    Raises:
        SettingError: A setting is not allowed here, or the resumed run has already reached one of its limits.
    """
    require(
        not config.ckpt_path or bool(resolved.ckpt_path),
        "ckpt_path belongs on the command line, not in a configuration file",
    )
    check_args_from_data(config.model.class_path, config.model.init_args)
    check_trainer_options(config.trainer, command)
    trainer = config.trainer
    if trainer.max_epochs is None and trainer.max_steps == -1 and trainer.max_time is None:
        trainer.max_epochs = read_default_recipe()["trainer"]["max_epochs"]
    if resolved.resumed_run:
        check_remaining_training(trainer, resolved)
    report_unused_settings(config, resolved.argv)


def report_unused_settings(config: Namespace, argv: list[str]) -> None:
    """Print which settings in files do not apply, because another network or dataset was chosen than that of the file.

    Args:
        config: The parsed configuration.
        argv: The command line, with the paths of files, or their text, in place of the names of recipes.
    """
    recipes = {str(path): name for name, path in RECIPES.items()}
    for file in list_configs(argv):
        settings = json.loads(file) if file.startswith("{") else read_settings(Path(file))
        for key in ("model", "data"):
            given, used = (settings or {}).get(key), config[key]
            arguments = given.get("init_args") if isinstance(given, dict) else None
            if unused := [name for name in arguments or () if name not in used.init_args]:
                source = "a file" if file.startswith("{") else f"--config {make_printable(recipes.get(file, file))}"
                kind = used.class_path.rpartition(".")[2]
                rank_zero_only(print)(f"{source}: {kind} does not have these settings: {', '.join(unused)}", flush=True)


def check_remaining_training(trainer: Namespace, resolved: ResolvedArgv) -> None:
    """Check that none of the limits on a resumed run has already been reached.

    Args:
        trainer: The parsed settings of the Trainer.
        resolved: The command line, with the progress of the resumed run.

    Raises:
        SettingError: The run has completed its epochs or steps, or has used up its time.
    """
    seconds = None if trainer.max_time is None else get_seconds(trainer.max_time)
    limits = (
        ("epochs", trainer.max_epochs, resolved.position.epochs, "max_epochs above {done}"),
        ("steps", trainer.max_steps, resolved.checkpoint_steps, "max_steps above {done}"),
        ("seconds", seconds, int(resolved.checkpoint_seconds), "max_time to more than {done} seconds, as DD:HH:MM:SS"),
    )
    for unit, limit, done, advice in limits:
        if 0 < (limit or 0) <= done:
            raise SettingError(
                f"{resolved.resumed_run} has done {done:.15g} of {limit:.15g} {unit}: to continue, set "
                f"--trainer.{advice.format(done=done)}"
            )


def check_seed(seed: int) -> None:
    """Check `seed_everything`, which Lightning uses before it calls any other method.

    Raises:
        SettingError: The seed is out of range.
    """
    check_limit("seed_everything", seed, within(0, MAX_SEED))


def check_args_from_data(class_path: str, init_args: dict[str, Any]) -> None:
    """Check that a network takes `image_shape` and `num_classes` from its data.

    Args:
        class_path: Import path of the network's class.
        init_args: Arguments of the constructor, by name.

    Raises:
        SettingError: The constructor does not have these arguments, or the user has set one of them.
    """
    parameters = inspect.signature(cast(type, pydoc.locate(class_path))).parameters
    for name in ARGS_FROM_DATA:
        if name not in init_args:
            raise SettingError(f"{class_path} does not take {name}: pass **kwargs on to ImageClassifier")
        if init_args[name] != parameters[name].default:
            raise SettingError(f"model.init_args.{name} comes from the data: leave it out")


def is_sweep(config: Namespace) -> bool:
    """Return whether the parsed configuration of `fit` asks for several runs, by `--seeds` or `--sweep`."""
    return config.seeds > 1 or bool(config.sweep)


def check_sweep(config: Namespace, resolved: ResolvedArgv) -> None:
    """Check that no setting conflicts with `--seeds` and `--sweep`, which train several runs from the start.

    Args:
        config: The parsed configuration of `fit`.
        resolved: The command line that the configuration was parsed from.

    Raises:
        SettingError: They are combined with `--ckpt_path`, `seed_everything: false` or `fast_dev_run`, one of the seeds
            is out of range, or a file contains `sweep`.
    """
    check_limit("seeds", config.seeds, within(1, 10_000))
    check_seed(int(config.seed_everything) + config.seeds - 1)
    require(
        not config.sweep or "--sweep" in list_given(resolved.argv),
        "sweep belongs on the command line, not in a configuration file",
    )
    once = resolved.ckpt_path or config.seed_everything is False or config.trainer.fast_dev_run
    require(
        not once or not is_sweep(config),
        f"--{'sweep' if config.sweep else 'seeds'} starts whole runs from a seed: leave out --ckpt_path, "
        "seed_everything false and fast_dev_run",
    )


def set_classes(data: Namespace, class_names: tuple[str, ...] | None) -> None:
    """Set the classes of the user's own images to those of a checkpoint, unless they are set, to evaluate some of them.

    Args:
        data: The parsed `class_path` and `init_args` of the dataset; it is changed in place.
        class_names: Class names in the checkpoint, or None.
    """
    if issubclass(cast(type, pydoc.locate(data.class_path)), FileDataModule) and data.init_args.classes is None:
        data.init_args.classes = class_names
