"""The command line of `runs`. Unlike that of other commands, it takes no configuration file, and needs no PyTorch."""

import inspect

from classifier.cli import PROG
from classifier.cli.parsing import OneLineErrorParser
from classifier.cli.paths import expand_argv, expand_path
from classifier.commands import runs as command
from classifier.runs.history import LOGS


def runs(argv: list[str]) -> None:
    """Print a table of runs.

    Args:
        argv: Command-line arguments after "runs".

    Raises:
        UserError: An option is invalid, there is no run, or the table cannot be written to a file.
    """
    description = (inspect.getdoc(command.runs) or "").partition("\n\nArgs:")[0]
    parser = OneLineErrorParser(prog=f"{PROG} runs", description=description, allow_abbrev=False)
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=str, default=LOGS, help="Folder that contains the folders of runs."
    )
    parser.add_argument(
        "--sort",
        type=str,
        help="Column to sort by, such as accuracy/val. Accuracies and metrics of your own are sorted from high to low, "
        "losses and all other columns from low to high. By default, runs are in the order of their start.",
    )
    parser.add_argument(
        "--output", type=str, help="CSV or JSON file to write the table to, with all columns and unrounded values."
    )
    options = parser.parse_args(expand_argv(argv))
    command.runs(expand_path("FOLDER", options.folder), options.sort, options.output)
