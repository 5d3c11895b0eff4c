"""Run commands that are plain functions: the signature defines the options, and the docstring the help."""

import argparse
import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt

from classifier.cli import PROG
from classifier.cli.bounded_yaml import ConfigFile
from classifier.cli.parsing import OneLineErrorParser, allow_imports, put_configs_first
from classifier.cli.paths import expand_argv, expand_settings
from classifier.errors import require
from classifier.hparams import check_limit, within

THREADS_HELP = "CPU threads per process; 0 keeps PyTorch's default, which is one thread per core."
ALLOW_IMPORT_HELP = "Package of your own whose classes files and checkpoints may use; others are never imported."
# Positional arguments: name in the help and in messages, and help.
POSITIONAL = {
    "paths": ("PATH", "Image files, and folders of them."),
    "runs": ("RUN", "last or best of the run started last, a run's name or folder, or a .ckpt file."),
}
STRICT_HELP = "Exit with status 1 if something is wrong."


def run_function(function: Callable[..., object], argv: list[str]) -> None:
    """Call a function with the arguments of a command line.

    Args:
        function: The command. Its parameters "paths" and "runs", if any, are positional; all others are options.
        argv: Command-line arguments after the command's name.

    Raises:
        SettingError: An option or its value is wrong.
    """
    parameters = inspect.signature(function).parameters
    argv = expand_argv(argv)
    packages = read_packages(argv)
    # Without a default, it is a dataset, and with one, it is a table of settings.
    has_data = "data" in parameters and parameters["data"].default is inspect.Parameter.empty
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
    add_parameters(parser, function, has_data)
    config = parser.parse_args(argv)
    expand_settings(config)
    options: dict[str, Any] = config.as_dict()
    options.pop("config")
    # A file, which may come from someone else, must not decide what is imported.
    require(options.get("allow_import", []) == packages, "allow_import belongs on the command line, not into a file")
    check_started_processes(function.__name__, options.get("devices", 1))
    set_threads(options.pop("threads"))
    if has_data:
        options.pop("allow_import")
        options["data"] = data_settings.make_data(parser, config)
    with use_trainer() if "devices" in parameters else contextlib.nullcontext():
        function(**options)


def add_parameters(parser: ArgumentParser, function: Callable[..., object], has_data: bool) -> None:
    """Add the parameters of a function to a parser, and the options that every command has.

    Args:
        parser: The parser.
        function: The command.
        has_data: Whether its parameter `data` is a dataset.
    """
    names = inspect.signature(function).parameters.keys()
    parser.add_argument("-c", "--config", action=ConfigFile, help="A YAML file with options.")
    for name in POSITIONAL.keys() & names:
        metavar, text = POSITIONAL[name]
        parser.add_argument(name, metavar=metavar, nargs="+", type=str, help=text)
    skipped: set[str | int] = {*POSITIONAL, "allow_import", "strict", *(["data"] if has_data else [])}
    parser.add_function_arguments(function, as_group=False, skip=skipped & names)
    if "strict" in names:  # jsonargparse would require a value
        parser.add_argument("--strict", type=bool, nargs="?", const=True, default=False, help=STRICT_HELP)
    if has_data:
        from classifier.cli.data_settings import add_data_option

        add_data_option(parser)
    if has_data or "allow_import" in names:  # jsonargparse would read a list only as [PACKAGE]
        parser.add_argument("--allow_import", action="append", default=[], metavar="PACKAGE", help=ALLOW_IMPORT_HELP)
    parser.add_argument("--threads", type=NonNegativeInt, default=1, help=THREADS_HELP)


@contextlib.contextmanager
def use_trainer() -> Iterator[None]:
    """Open a context for a command that uses a Trainer, also one with several processes.

    Raises:
        UserError: A process that the Trainer has started has ended.
    """
    from classifier.cli.processes import report_lost_processes  # with Lightning
    from classifier.cli.quiet import silence_lightning

    silence_lightning()
    with report_lost_processes(lambda: None):
        yield


def check_started_processes(command: str, expected: int) -> None:
    """Check the number of processes that a launcher, such as torchrun or this program, has started.

    Raises:
        SettingError: There are other processes than those that the command uses.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    names = f"{expected} processes" if expected > 1 else "one process"
    require(processes in (1, expected), f"{command} runs in {names}, not in {processes}")


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
