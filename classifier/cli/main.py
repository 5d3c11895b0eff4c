"""The table of commands, exit statuses and signals.

Nothing here imports PyTorch or Lightning, so that `--help` and an unknown command respond at once.
"""

import contextlib
import gc
import importlib
import io
import os
import re
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple, NoReturn, TextIO

from classifier.cli import PROG
from classifier.cli.lean_imports import defer_scipy_signal
from classifier.cli.signals import Terminated, raise_on_signals
from classifier.cli.user_errors import find_user_error
from classifier.errors import SettingError, UserError, make_printable, one_line, require


class Command(NamedTuple):
    """A command: the module that defines the function of the same name, and one sentence of help.

    With `takes_argv`, the function takes the list of arguments. Otherwise, its parameters become options.
    """

    module: str
    help: str
    takes_argv: bool = False


COMMANDS = {
    "fit": Command(
        "classifier.cli.lightning_cli", "Train a network, by default an MLP on FashionMNIST.", takes_argv=True
    ),
    "validate": Command(
        "classifier.cli.lightning_cli", "Evaluate a network on the validation images.", takes_argv=True
    ),
    "test": Command("classifier.cli.lightning_cli", "Evaluate a network on the test images.", takes_argv=True),
    "inspect": Command("classifier.commands.inspect", "Describe a dataset and its problems."),
    "report": Command("classifier.commands.report", "Evaluate and compare runs, and write a page about them."),
    "runs": Command("classifier.cli.runs_command", "Print a table of runs and their results.", takes_argv=True),
    "predict": Command("classifier.commands.predict", "Predict the classes of image files."),
    "export": Command("classifier.commands.export", "Write a network to a file for use without this package."),
    "clear_cache": Command("classifier.commands.clear_cache", "Delete the decoded images that are cached on disk."),
}

HELP = f"""usage: {PROG} COMMAND [options]

Train, evaluate and export image classifiers, and predict with them.

commands:
{chr(10).join(f"  {name:<12} {command.help}" for name, command in COMMANDS.items())}

{PROG} COMMAND --help shows the options of a command.

examples:
  {PROG} fit --config digits
  {PROG} fit --config photos --data.root pets
  {PROG} predict shoe.png photos/ --output predictions.csv

{PROG} --version shows the version.
"""


def report_thread_error(error: threading.ExceptHookArgs) -> None:
    """Print an error that ends a thread, except an OSError: TensorBoard's thread passes it on to the main thread."""
    if not isinstance(error.exc_value, OSError):
        threading.__excepthook__(error)


def escape_unencodable() -> None:
    """Make standard output and error escape characters that their encoding lacks, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a notebook's stream takes every character
            stream.reconfigure(errors="backslashreplace")


def restart_with_utf8_names() -> None:
    """Start Python again with UTF-8 as the encoding of file names and arguments, if it has another one.

    In the locale C with PYTHONUTF8=0, for example, a name with other characters than those of ASCII could neither be
    printed nor stored. Only Python's variable decides about this, and only at its start. Standard output keeps its
    encoding.
    """
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)  # otherwise that would change as well
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 the same command


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,  # noqa: ARG001 as Python calls it
) -> None:
    """Print a warning to standard error as one line, with the place in the code only if it is not for the user."""
    place = "" if issubclass(category, UserWarning) else f"{filename}:{lineno}: {category.__name__}: "
    print(f"{PROG}: warning: {place}{one_line(message)}", file=file or sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """Run a command line, and exit.

    A user error is printed as one line, with exit status 1, or 2 for an invalid option; with the environment variable
    CLASSIFIER_TRACEBACK=1, it is printed with its traceback. The exit status is 130 after Ctrl-C and 143 after SIGTERM.

    Args:
        argv: Command-line arguments without the program's name; None for those of this process.
    """
    if argv is None:  # and not a call from Python, whose warnings belong to the caller
        restart_with_utf8_names()
        argv = sys.argv[1:]
        warnings.showwarning = show_warning
    threading.excepthook = report_thread_error
    escape_unencodable()
    try:
        with raise_on_signals():
            run(argv)
    except BrokenPipeError:
        # The reader of a pipe, such as head, has exited; what Python flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + 13)  # as if ended by SIGPIPE, which Windows does not have
    except (KeyboardInterrupt, SystemExit) as stop:
        # After Ctrl-C, Lightning raises SystemExit.
        interrupt = stop if isinstance(stop, KeyboardInterrupt) else stop.__context__
        if not isinstance(interrupt, KeyboardInterrupt):
            raise
        sys.exit(128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT))
    except Exception as error:
        cause = find_user_error(error)
        if cause is None or os.environ.get("CLASSIFIER_TRACEBACK", "0") != "0":
            raise
        exit_with_error(cause)


def run(argv: list[str]) -> None:
    """Import the command named by the first argument, and run it.

    Raises:
        SettingError: The command is missing or unknown.
    """
    if argv and argv[0] in ("-h", "--help"):
        print(HELP, end="", flush=True)
        return
    if argv and argv[0] == "--version":
        print(f"classifier {read_version()}", flush=True)
        return
    require(not any("\0" in argument for argument in argv), "an argument contains a null byte")
    if argv and re.fullmatch(r"--(model|data)\.help(=.*)?", argv[0]):
        argv = ["fit", *argv]
    name = argv[0] if argv else ""
    if name not in COMMANDS:
        raise SettingError(describe_unknown_command(argv))
    module = import_without_gc(COMMANDS[name].module)
    if COMMANDS[name].takes_argv:
        getattr(module, name)(argv[1:])
    else:
        from classifier.cli.function_commands import run_function

        run_function(getattr(module, name), argv[1:])


def describe_unknown_command(argv: list[str]) -> str:
    """Return an error message for a command line that does not begin with a command."""
    from classifier.cli.suggestions import RECIPES, suggest_command

    choices = f"give one of {', '.join(COMMANDS)}"
    if not argv:
        return f"a command is missing: {choices}"
    name = argv[0]
    if name.startswith("-"):
        return f"a command is missing before {name}: {choices}; did you mean {PROG} fit {shlex.join(argv)}?"
    if name in RECIPES:
        return f"{name} is a recipe, not a command; did you mean {PROG} fit --config {shlex.join(argv)}?"
    suggestion = suggest_command(name, COMMANDS)
    return f"there is no command {name}: {choices}" + (f"; did you mean {suggestion}?" if suggestion else "")


def read_version() -> str:
    """Return the version of the installed package.

    Raises:
        UserError: The package is not installed.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("classifier")
    except PackageNotFoundError as error:
        raise UserError("the package is not installed, and therefore has no version: pip install -e .") from error


def import_without_gc(name: str) -> ModuleType:
    """Import a module with garbage collection disabled, and exclude the imported objects from later collections.

    Garbage collection takes a fifth of the import time and frees nothing. At exit, it would take the same time again.

    Raises:
        UserError: A package that it needs is not installed.
    """
    if name in sys.modules:  # a second freeze would also keep garbage
        return sys.modules[name]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with defer_scipy_signal(), show_loading():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"Python finds no module {error.name}: activate the environment in which classifier is installed "
            "(source .venv/bin/activate), or install it (pip install -e .)"
        ) from error
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def show_loading() -> Iterator[None]:
    """Show on a terminal that libraries are imported, which takes some seconds, and remove the text at the end."""
    if not sys.stderr.isatty():
        yield
        return
    print("loading PyTorch and Lightning ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def exit_with_error(error: UserError) -> NoReturn:
    """Print a user error as one line, and exit with its status."""
    if any(os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID")):
        time.sleep(2)  # if the first process fails, too, it reports the error and ends all others
    print(f"{PROG}: error: {make_printable(one_line(error))}", file=sys.stderr)
    sys.exit(error.exit_status)
