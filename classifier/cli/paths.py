"""Paths in options: expanded and checked in one way, on the command line and in files."""

import os
import re
from typing import Any

import yaml
from jsonargparse import Namespace

from classifier.errors import require
from classifier.hparams import LOCAL_PATH, check_limit

# The options and arguments that take a path, by the last part of their name: those of this package, of Lightning's
# Trainer, and of its callbacks, loggers and profilers.
PATH_OPTIONS = frozenset(
    (
        *("config", "c", "ckpt_path", "output", "root", "file", "folder", "cache_dir", "weights", "paths", "runs"),
        *("default_root_dir", "save_dir", "dirpath", "dir", "root_dir"),
    )
)


def expand_path(option: str, path: str) -> str:
    """Return a path with "~" replaced by the user's home folder. A relative path is one in the current folder.

    A path such as "./~", which means a folder of this name, becomes absolute.

    Args:
        option: The option that takes the path, for the error message.
        path: The path.

    Raises:
        SettingError: The path is an address such as s3://bucket, or begins with the name of an unknown user.
    """
    check_limit(option, path, LOCAL_PATH)
    expanded = os.path.expanduser(path)  # noqa: PTH111 a Path drops the "./", and raises an error for an unknown user
    user = expanded.partition("/")[0]
    is_known = not user.startswith("~") or os.path.lexists(path)  # such as ~$scan.png, which a shell lists for *.png
    require(is_known, f"{option} {path}: there is no user {user[1:]}; for a path that begins with ~, write ./{path}")
    name = os.path.normpath(expanded)
    # Libraries would drop the "./" of such a path, and then expand the "~".
    return expanded if os.path.expanduser(name) == name else os.path.abspath(name)  # noqa: PTH100, PTH111


def expand_argv(argv: list[str]) -> list[str]:
    """Return command-line arguments with the paths in options expanded, and written so that YAML does not change them.

    YAML would read `#pets` as a comment, and `[pets]` as a list. `null` is left alone, because it unsets an option.

    Args:
        argv: Command-line arguments after the command's name.

    Raises:
        SettingError: See `expand_path`.
    """
    argv = list(argv)
    for i, argument in enumerate(argv):
        if re.match("-c[^=]", argument):  # such as -cdigits
            argv[i] = argument = f"-c={argument[2:]}"
        option, equals, value = argument.partition("=")
        if not option.startswith("-") or option.lstrip("-").rpartition(".")[2].rstrip("+") not in PATH_OPTIONS:
            continue
        if equals:
            argv[i] = f"{option}={keep_literal(expand_path(option, value))}"
        elif i + 1 < len(argv) and not argv[i + 1].startswith("--"):
            argv[i + 1] = keep_literal(expand_path(option, argv[i + 1]))
    return argv


def keep_literal(path: str) -> str:
    """Return a path with "./" before it if YAML would not read it as a text or a number."""
    try:
        is_literal = path in ("", "null") or isinstance(yaml.safe_load(path), (str, int, float))
    except (yaml.YAMLError, ValueError):
        is_literal = True  # what is not YAML is taken as it is
    return path if is_literal else os.path.join(os.curdir, path)  # noqa: PTH118 a Path drops the "./"


def expand_settings(settings: Any, option: str = "-") -> None:
    """Expand all paths in a parsed configuration, which is changed in place.

    Args:
        settings: The configuration, or a part of it.
        option: The option that the part belongs to, for error messages.

    Raises:
        SettingError: See `expand_path`.
    """
    if isinstance(settings, (list, tuple)):
        for item in settings:
            expand_settings(item, option)
    items = vars(settings) if isinstance(settings, Namespace) else settings if isinstance(settings, dict) else {}
    for name, value in list(items.items()):
        inner = option if name in ("init_args", "dict_kwargs") else f"{option}{'.' if option != '-' else '-'}{name}"
        if name not in PATH_OPTIONS:
            expand_settings(value, inner)
        elif isinstance(value, str):
            items[name] = expand_path(inner, value)
        elif name in ("paths", "runs") and isinstance(value, list):  # the positional arguments of a command
            items[name] = [expand_path(name[:-1].upper(), path) for path in value]
