"""Resolve recipe names, checkpoint aliases and the settings stored in a checkpoint."""

import argparse
import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only

from classifier.callbacks.loop_state import START, Position, find_position
from classifier.class_paths import PACKAGE
from classifier.cli.bounded_yaml import read_settings
from classifier.cli.parsing import allow_imports, put_configs_first
from classifier.cli.suggestions import RECIPES
from classifier.errors import SettingError, UserError, make_printable, require
from classifier.models.checks import ARGS_FROM_DATA
from classifier.runs.checkpoints import check_settings, get_settings, import_class, load_checkpoint, update_names
from classifier.runs.folders import LOGS, find_checkpoint, is_run_dir, lock_run_dir
from classifier.runs.stored_paths import describe_outside_path, list_outside_paths

DEFAULT_RECIPE = "fashion_mnist"  # that of a bare `fit`


@dataclass
class ResolvedArgv:
    """A command line in which recipe names and checkpoint aliases are replaced by paths and settings.

    Args:
        argv: Arguments for the parser.
        ckpt_path: Checkpoint to load, or None.
        resumed_run: Folder of the run to resume, or None.
        position: Position in training at the checkpoint.
        checkpoint_steps: Number of optimizer steps before the checkpoint.
        checkpoint_seconds: Seconds of training before the checkpoint, if the run had a time limit.
        class_names: Class names in the checkpoint, or None.
    """

    argv: list[str]
    ckpt_path: Path | None = None
    resumed_run: Path | None = None
    position: Position = START
    checkpoint_steps: int = 0
    checkpoint_seconds: float = 0.0
    class_names: tuple[str, ...] | None = None


def find_config(name: str) -> str:
    """Return the path of a configuration file or, if there is no such file, of the packaged recipe of that name.

    A file of version 0.1 is returned as text, with its options under their current names.

    Raises:
        SettingError: There is neither a file nor a recipe of that name, or the file is not YAML.
    """
    if RECIPES.get(name) and not Path(name).is_file():
        return str(RECIPES[name])
    path = Path(name)
    require(path.exists(), f"--config {name}: no such file, and the recipes are {', '.join(RECIPES)}")
    settings = read_settings(path)
    data = settings.get("data") if isinstance(settings, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("init_args"), dict):
        return str(path)
    init_args = update_names(data["init_args"])
    if init_args == data["init_args"]:
        return str(path)
    return json.dumps({**settings, "data": {**data, "init_args": init_args}})


def read_default_recipe() -> dict[str, Any]:
    """Return the settings of the recipe that `fit` uses without `--config`."""
    return yaml.safe_load(RECIPES[DEFAULT_RECIPE].read_text())


def resolve_recipes(argv: list[str], command: str) -> list[str]:
    """Return the arguments with recipe names replaced by the paths of their files.

    Args:
        argv: Command-line arguments after the command's name.
        command: "fit", "validate" or "test".

    Raises:
        SettingError: A recipe does not exist, or an option is not allowed for this command.
    """
    for option in (argument.partition("=")[0] for argument in argv):
        if option.removeprefix("--model.").removeprefix("init_args.") in ARGS_FROM_DATA:
            raise SettingError(f"{option} comes from the data: leave it out")
        elif option == "--data.val_split" and command == "validate":
            raise SettingError("--data.val_split: which images were held out of training is stored in the checkpoint")
    return put_configs_first(argv, find_config)


def list_configs(argv: list[str]) -> list[str]:
    """Return the values of `--config` in command-line arguments."""
    given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    given.add_argument("-c", "--config", action="append", default=[])
    return given.parse_known_args(argv)[0].config


def resolve_argv(command: str, argv: list[str]) -> ResolvedArgv:
    """Resolve recipe names and checkpoint aliases.

    The default recipe's settings, or those in a checkpoint, are inserted before the user's options, which therefore
    override them. They are not set as the parser's defaults, because `--model CNN` would then inherit the MLP's
    learning rate.

    Args:
        command: "fit", "validate" or "test".
        argv: Command-line arguments after the command's name.

    Raises:
        UserError: A recipe or a checkpoint is missing or cannot be used.
    """
    argv = resolve_recipes(argv, command)
    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in ("--ckpt_path", "--model", "--data"):
        known.add_argument(option, default="")
    known.add_argument("--allow_import", action="append", default=[])
    known.add_argument("--trainer.default_root_dir", dest="root", default=".")
    try:
        options, others = known.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise SettingError(str(error)) from error
    # The command line itself is trusted: --data my_module.Stripes allows my_module.
    named = [path.split(".")[0] for path in (options.model, options.data) if re.fullmatch(r"\w+(\.\w+)+", path)]
    allowed = [*options.allow_import, *named]
    allow_imports(allowed)
    wants_help = bool({"-h", "--help", "--print_config"} & set(others))
    if not options.ckpt_path and (command == "fit" or wants_help):
        defaults = read_default_recipe()
        return ResolvedArgv([f"--model={defaults['model']}", f"--data={defaults['data']}", *argv])
    path = find_checkpoint(options.ckpt_path or "last", Path(options.root, LOGS))
    return resolve_checkpoint(command, argv, path, bool(options.data), allowed)


def resolve_checkpoint(command: str, argv: list[str], path: Path, has_data: bool, allowed: list[str]) -> ResolvedArgv:
    """Insert the settings in a checkpoint before the options of a command.

    Args:
        command: "fit", "validate" or "test".
        argv: Command-line arguments after the command's name.
        path: The checkpoint file.
        has_data: Whether the arguments set `--data`.
        allowed: Packages, in addition to this one, that the checkpoint's classes may be imported from.

    Raises:
        UserError: The file is not a checkpoint, or neither the checkpoint nor the arguments set the data.
    """
    checkpoint = load_checkpoint(path)
    rank_zero_only(print)(f"checkpoint: {make_printable(path)}", flush=True)
    for class_path in checkpoint["classes"].values():
        import_class(class_path, allowed)
    require(has_data or "data" in checkpoint["classes"], f"{make_printable(path)} names no dataset: add --data")
    if all(class_path.partition(".")[0] in (PACKAGE, *allowed) for class_path in checkpoint["classes"].values()):
        check_settings(checkpoint, allowed, check_data=not has_data)  # the parser refuses other classes
    settings = get_settings(checkpoint)
    if "data" in settings and list_given(argv) & {"--data.file", "--data.init_args.file"}:
        settings["data"]["init_args"].pop("root", None)  # paths in another table are relative to that table
    print_outside_paths(settings, argv)
    # There can be more class names than a parser can read.
    names = settings["model"]["init_args"].pop("class_names", None)
    argv = [*(f"--{key}={json.dumps(value)}" for key, value in settings.items()), *argv]
    resolved = ResolvedArgv(argv, path, class_names=names and tuple(names))
    if command != "fit":
        return resolved
    resolved.position, resolved.checkpoint_steps = find_position(checkpoint), checkpoint.get("global_step", 0)
    resolved.checkpoint_seconds = get_training_seconds(checkpoint)
    run = path.parent.parent
    if not is_run_dir(run):
        return resolved
    resolved.resumed_run = run = run.absolute() if str(run).startswith("~") else run  # libraries expand a "~"
    with contextlib.suppress(UserError), lock_run_dir(run):  # removes unfinished files, unless the run is in progress
        pass
    if (run / "config.yaml").is_file():
        resolved.argv.insert(0, f"--config={find_config(str(run / 'config.yaml'))}")
    return resolved


def list_given(argv: list[str]) -> set[str]:
    """Return the options in a command line, without their values."""
    return {argument.partition("=")[0] for argument in argv}


@rank_zero_only
def print_outside_paths(settings: dict[str, dict[str, Any]], argv: list[str]) -> None:
    """Print the paths outside the current folder in a checkpoint, except those that the command line replaces.

    Args:
        settings: The `class_path` and `init_args` of "model" and "data".
        argv: Command-line arguments after the command's name.
    """
    given = {option.replace(".init_args.", ".") for option in list_given(argv)}
    for key, name, path in list_outside_paths(settings):
        if f"--{key}.{name}" not in given:
            print(describe_outside_path(key, name, path), flush=True)


def get_training_seconds(checkpoint: dict[str, Any]) -> float:
    """Return the seconds of training before a checkpoint, as Lightning's Timer counts them for `max_time`, or 0."""
    timer = checkpoint.get("callbacks", {}).get(Timer().state_key, {})
    return timer.get("time_elapsed", {}).get("train", 0.0)
