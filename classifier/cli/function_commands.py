"""Run commands that are plain functions: the signature defines the options, and the docstring the help."""

import argparse
import inspect
import os
from collections.abc import Callable
from typing import Any

import torch
from jsonargparse.typing import NonNegativeInt

from classifier.cli import PROG
from classifier.cli.bounded_yaml import ConfigFile
from classifier.cli.parsing import OneLineErrorParser, allow_imports, put_configs_first
from classifier.cli.paths import expand_argv, expand_settings
from classifier.errors import require
from classifier.hparams import check_limit, within

THREADS_HELP = "CPU threads per process; 0 keeps PyTorch's default, which is one thread per core."
ALLOW_IMPORT_HELP = "Package of your own whose classes files and checkpoints may use; others are never imported."
STRICT_HELP = "Exit with status 1 if something is wrong."


def run_function(function: Callable[..., None], argv: list[str]) -> None:
    """Call a function with the arguments of a command line.

    Args:
        function: The command. Its parameter "paths", if any, is positional; all others are options.
        argv: Command-line arguments after the command's name.

    Raises:
        SettingError: An option or its value is wrong.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    require(processes == 1, f"{function.__name__} runs in one process, not in {processes}")
    parameters = inspect.signature(function).parameters
    argv = expand_argv(argv)
    packages = read_packages(argv)
    has_data = "data" in parameters
    allow_imports([])
    if has_data:
        from classifier.cli import data_settings  # imports all datasets and networks

        allow_imports([*packages, *data_settings.list_trusted(argv)])
        data_settings.register_datasets()
        argv = data_settings.keep_data_settings(argv)
    else:
        argv = put_configs_first(argv)
    parser = OneLineErrorParser(
        prog=f"{PROG} {function.__name__}", description=(function.__doc__ or "").split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("-c", "--config", action=ConfigFile, help="A YAML file with options.")
    if "paths" in parameters:
        parser.add_argument("paths", metavar="PATH", nargs="+", type=str, help="Image files, and folders of them.")
    parser.add_function_arguments(function, as_group=False, skip={"paths", "allow_import", "data", "strict"})
    if "strict" in parameters:  # jsonargparse would require a value
        parser.add_argument("--strict", type=bool, nargs="?", const=True, default=False, help=STRICT_HELP)
    if has_data:
        data_settings.add_data_option(parser)
    if has_data or "allow_import" in parameters:  # jsonargparse would read a list only as [PACKAGE]
        parser.add_argument("--allow_import", action="append", default=[], metavar="PACKAGE", help=ALLOW_IMPORT_HELP)
    parser.add_argument("--threads", type=NonNegativeInt, default=1, help=THREADS_HELP)
    config = parser.parse_args(argv)
    expand_settings(config)
    options: dict[str, Any] = config.as_dict()
    options.pop("config")
    # A file, which may come from someone else, must not decide what is imported.
    require(options.get("allow_import", []) == packages, "allow_import belongs on the command line, not into a file")
    set_threads(options.pop("threads"))
    if has_data:
        options.pop("allow_import")
        options["data"] = data_settings.make_data(parser, config)
    function(**options)


def read_packages(argv: list[str]) -> list[str]:
    """Return the packages that the command line, and no file, allows to be imported."""
    given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    given.add_argument("--allow_import", action="append", default=[])
    return given.parse_known_args(argv)[0].allow_import


def set_threads(threads: int) -> None:
    """Set the number of CPU threads of this process and its child processes; 0 keeps PyTorch's default.

    Raises:
        SettingError: The number is above 1,024.
    """
    check_limit("threads", threads, within(0, 1024))
    if threads:
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)
