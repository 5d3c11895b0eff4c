"""Use the configuration files of `fit` for commands that need only the data in them."""

import json
import sys
from pathlib import Path

from classifier.cli.bounded_yaml import read_settings
from classifier.cli.resolve import find_config
from classifier.errors import make_printable

FIT_ONLY = ("model", "trainer", "seed_everything", "ckpt_path", "pictures", "seeds")


def keep_data_settings(argv: list[str]) -> list[str]:
    """Return the arguments with recipes and files of `fit` reduced to the settings of the data, which is reported.

    Args:
        argv: Command-line arguments after the command's name.

    Raises:
        SettingError: There is neither a file nor a recipe of the given name, or the file is not YAML.
    """
    argv = list(argv)
    for i, argument in enumerate(argv):
        option, equals, value = argument.partition("=")
        if option in ("-c", "--config") and equals:
            argv[i] = f"--config={reduce_config(value)}"
        elif option in ("-c", "--config") and i + 1 < len(argv):
            argv[i + 1] = reduce_config(argv[i + 1])
    return argv


def reduce_config(name: str) -> str:
    """Return the path of a configuration file, or its settings as JSON if it has some that only `fit` uses."""
    found = find_config(name)
    settings = json.loads(found) if found.startswith("{") else read_settings(Path(found))
    if not isinstance(settings, dict) or not set(FIT_ONLY) & set(settings):
        return found
    print(f"--config {make_printable(name)}: only the settings of the data are used", file=sys.stderr)
    return json.dumps({key: value for key, value in settings.items() if key not in FIT_ONLY})
