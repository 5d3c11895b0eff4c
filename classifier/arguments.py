"""What the words of a command line stand for: packaged recipes, checkpoints, and the settings kept in them."""

import argparse
import pydoc
import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from jsonargparse import set_parsing_settings
from lightning.pytorch.utilities import rank_zero_only

from classifier.checkpoints import LINKED, find_checkpoint, load_checkpoint, read_settings
from classifier.errors import SettingError, require

RECIPES = Path(__file__).parent / "recipes"
LOGS = "lightning_logs"
COMMANDS = {
    "fit": "Train a network, by default the MLP on FashionMNIST for 30 epochs. Options of networks and data sets: "
    "--model.help NAME, --data.help NAME.",
    "validate": "Score the validation images of a run.",
    "test": "Score the test images.",
    "predict": "Print what is on images in files and folders.",
    "export": "Write a network to a file for use without this package, and try that file on test images.",
}
# Commands that have no options of network and data: these are the checkpoint's.
FROM_CHECKPOINT = ("predict", "export")


@dataclass
class CommandLine:
    """A command line whose names of recipes and checkpoints are resolved.

    Args:
        words: The words for the parser.
        ckpt_path: Checkpoint that it names.
        resumed_run: Folder of the run that goes on.
        resumed_epochs: Epochs that this run has done.
    """

    words: list[str]
    ckpt_path: Path | None = None
    resumed_run: Path | None = None
    resumed_epochs: int = 0


def find_recipe(name: str) -> str:
    """Return the path of a packaged recipe, or of the user's own file.

    Raises:
        SettingError: When there is neither, or it is not YAML.
    """
    recipes = {file.stem: file for file in sorted(RECIPES.glob("*.yaml"))}
    path = Path(name) if Path(name).is_file() else recipes.get(name)
    if path is None:
        raise SettingError(f"--config {name}: no such file, and the recipes are {', '.join(recipes)}")
    try:
        yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"--config {name} is not YAML: {' '.join(str(error).split())}") from error
    return str(path)


def resolve_recipes(words: list[str], subcommand: str) -> list[str]:
    """Return the options of a subcommand with the paths of recipes in place of their names.

    Raises:
        SettingError: When there is no such recipe, or an option is set by something else.
    """
    words = list(words)
    for i, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in ("-c", "--config") and equals:
            words[i] = f"--config={find_recipe(value)}"
        elif option in ("-c", "--config") and i + 1 < len(words):
            words[i + 1] = find_recipe(words[i + 1])
        elif option.removeprefix("--model.").removeprefix("init_args.") in LINKED:
            raise SettingError(f"{option} comes from the data: leave it out")
        elif option == "--data.val_split" and subcommand == "validate":
            raise SettingError("--data.val_split: which images were held out of training is in the checkpoint")
    return words


def allow_imports(packages: list[str], class_paths: list[str]) -> list[str]:
    """Let settings name classes of some packages, and of those of the classes that the command line itself names.

    Args:
        packages: Import paths, such as "my_package".
        class_paths: Values of --model and --data.

    Returns:
        The packages that are allowed, beside classifier, lightning and torch.

    Raises:
        SettingError: When one is no import path.
    """
    allowed = packages + [path.split(".")[0] for path in class_paths if re.fullmatch(r"\w+(\.\w+)+", path)]
    try:
        set_parsing_settings(import_path_allowlist=allowed)
    except ValueError as error:
        raise SettingError(f"--allow_import: {error}") from error
    return allowed


def complete(words: list[str]) -> CommandLine:
    """Return a command line with the names of recipes and checkpoints resolved.

    Defaults, and what a checkpoint holds, are put before the user's options, which so win. As defaults of the parser
    they would leak: `--model CNN` would inherit the MLP's learning rate.

    Args:
        words: The words of the user.

    Raises:
        UserError: When a recipe or checkpoint is missing or cannot be used.
    """
    if not words or words[0] not in COMMANDS:
        return CommandLine(words)
    subcommand, rest = words[0], resolve_recipes(words[1:], words[0])
    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for option in ("--ckpt_path", "--model", "--data"):
        known.add_argument(option, default="")
    known.add_argument("--allow_import", action="append", default=[])
    known.add_argument("--trainer.default_root_dir", dest="root", default=".")
    try:
        options, others = known.parse_known_args(rest)
    except argparse.ArgumentError as error:
        raise SettingError(str(error)) from error
    allowed = allow_imports(options.allow_import, [options.model, options.data])
    if not options.ckpt_path:
        if subcommand != "fit":
            helps = bool({"-h", "--help"} & set(others))
            require(helps, f"{subcommand} needs a checkpoint: --ckpt_path last, best, a run's folder or a file")
        defaults = [] if subcommand in FROM_CHECKPOINT else ["--model=MLP", "--data=FashionMNIST"]
        return CommandLine([subcommand, *defaults, *rest])

    logs = Path(options.root, LOGS)
    path = find_checkpoint(options.ckpt_path, logs)
    checkpoint = load_checkpoint(path)
    rank_zero_only(print)(f"checkpoint: {path}", flush=True)
    for class_path in checkpoint["classes"].values():
        if class_path.split(".")[0] in allowed:
            pydoc.locate(class_path)
    if subcommand in FROM_CHECKPOINT:
        return CommandLine([subcommand, *rest], path)
    settings = read_settings(checkpoint)
    require(bool(options.data) or "data" in checkpoint["classes"], f"{path} names no data set: add --data")
    run = path.parent.parent
    if subcommand != "fit" or run.resolve().parent.name != LOGS:
        return CommandLine([subcommand, *settings, *rest], path)
    config = [f"--config={run / 'config.yaml'}"] if (run / "config.yaml").is_file() else []
    return CommandLine([subcommand, *config, *settings, *rest], path, run, checkpoint["epoch"] + 1)
