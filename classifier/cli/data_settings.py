"""The option `--data` of commands other than `fit`, which use the data in the configuration files of `fit`."""

import argparse
import json
import re
import sys
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

import classifier
from classifier.cli.bounded_yaml import read_settings
from classifier.cli.config_types import check_value
from classifier.cli.parsing import describe_choices, put_configs_first
from classifier.cli.resolve import RECIPES, find_config
from classifier.data.base import ImageDataModule
from classifier.errors import make_printable

FIT_ONLY = ("model", "trainer", "seed_everything", "ckpt_path", "pictures", "seeds", "name")


def keep_data_settings(argv: list[str]) -> list[str]:
    """Return the arguments with recipes and files of `fit` reduced to the settings of the data, which is reported.

    Args:
        argv: Command-line arguments after the command's name.

    Raises:
        SettingError: There is neither a file nor a recipe of the given name, or the file is not YAML.
    """
    return put_configs_first(argv, reduce_config)


def reduce_config(name: str) -> str:
    """Return the path of a configuration file, or its settings as JSON if it has some that only `fit` uses."""
    found = find_config(name)
    settings = json.loads(found) if found.startswith("{") else read_settings(Path(found))
    if not isinstance(settings, dict) or not set(FIT_ONLY) & set(settings):
        return found
    if name not in RECIPES:  # which are meant for this as well
        print(f"--config {make_printable(name)}: only the settings of the data are used", file=sys.stderr)
    return json.dumps({key: value for key, value in settings.items() if key not in FIT_ONLY})


def list_trusted(argv: list[str]) -> list[str]:
    """Return the package of the dataset on the command line, which is trusted: --data my_module.Stripes allows it."""
    given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    given.add_argument("--data", default="")
    path = given.parse_known_args(argv)[0].data
    return [path.split(".")[0]] if re.fullmatch(r"\w+(\.\w+)+", path) else []


def register_datasets() -> None:
    """Import the datasets of this package, so that options can name them."""
    for name, module in classifier.MODULES.items():
        if module.startswith("data."):
            getattr(classifier, name)


def add_data_option(parser: ArgumentParser) -> None:
    """Add the option `--data` and the options of the datasets."""
    parser.add_subclass_arguments(ImageDataModule, "data", required=True, help=describe_choices("data"))


def make_data(parser: ArgumentParser, config: Namespace) -> ImageDataModule:
    """Check the types of the settings of the data, and return the data module.

    Raises:
        UserError: A setting is wrong, or files are missing.
    """
    check_value("--data", config.clone(with_meta=False).as_dict()["data"], ImageDataModule)
    return parser.instantiate_classes(config).data
