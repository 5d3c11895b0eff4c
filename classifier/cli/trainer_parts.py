"""Objects that a user adds to the Trainer: callbacks, loggers, profilers, strategies and plugins."""

import contextlib
import traceback
from collections.abc import Iterator
from typing import Any

from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import CheckpointIO, ClusterEnvironment, LayerSync, Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy

from classifier.callbacks.console import ConsoleReporter, ResultPrinter
from classifier.errors import SettingError, UserError, one_line

PART_TYPES = (
    *(Accelerator, Callback, CheckpointIO, ClusterEnvironment, LayerSync, Logger),
    *(Precision, Profiler, Strategy),
)
PART_OPTIONS = ("callbacks", "logger", "plugins", "profiler", "strategy")


@contextlib.contextmanager
def report_failing_parts(parser: LightningArgumentParser) -> Iterator[None]:
    """While the context is open, report a part of the Trainer that the parser cannot build as one line.

    Raises:
        SettingError: A constructor raises an exception, for example because a package is not installed.
    """
    failures: list[SettingError] = []

    def build(part_class: type, *args: Any, **kwargs: Any) -> Any:
        try:
            return part_class(*args, **kwargs)
        except Exception as error:
            name = part_class.__name__
            failures.append(SettingError(f"trainer: {name} cannot be built: {describe(error)}"))
            failures[-1].__cause__ = error
            raise

    for part_type in PART_TYPES:
        parser.add_instantiator(build, part_type, subclasses=True)
    try:
        yield
    except Exception:
        if failures:  # jsonargparse's own error names all types that the part could have had instead
            raise failures[0] from failures[0].__cause__
        raise


def raise_for_failing_part(error: BaseException, settings: Any) -> None:
    """Raise an error in a class of Lightning that the user has added to the Trainer as a user error.

    An error in a class of the user's own, or in another package that the class calls, is left alone, because its
    traceback shows where it is.

    Args:
        error: The error that ended a run.
        settings: Settings of the Trainer, with the objects that the user has added.

    Raises:
        SettingError: The class cannot be used with this network or these data, or a setting of it is wrong.
    """
    if not isinstance(error, Exception) or isinstance(error, (UserError, OSError)):
        return
    added = [part for name in PART_OPTIONS for part in list_parts(settings[name]) if isinstance(part, PART_TYPES)]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        if not frame.f_globals.get("__name__", "").startswith(("lightning.", "torch.")):
            return
        part = frame.f_locals.get("self")
        if any(part is other for other in added):
            name = f"{type(part).__name__}.{frame.f_code.co_name}"
            raise SettingError(f"trainer: {name} failed: {describe(error)}") from error


def describe(error: Exception) -> str:
    """Return the message of an error, after the name of its type unless the message is written for users."""
    is_for_users = isinstance(error, (ImportError, ValueError)) or "Misconfiguration" in type(error).__name__
    return one_line(error) if is_for_users or not str(error) else f"{type(error).__name__}: {one_line(error)}"


def list_parts(parts: Any) -> list[Any]:
    """Return the parts in a setting that holds one part, a list of parts, or none."""
    return [part for part in (parts if isinstance(parts, (list, tuple)) else [parts]) if part]


def make_printers(settings: Any) -> list[Callback]:
    """Return the callback that prints the results; it is also the progress bar, unless the user adds another.

    Args:
        settings: Settings of the Trainer.
    """
    callbacks = list_parts(settings.callbacks)
    if any(isinstance(callback, ResultPrinter) for callback in callbacks):
        return []
    if any(isinstance(callback, ProgressBar) for callback in callbacks):
        return [ResultPrinter()]
    return [ConsoleReporter(bar=settings.enable_progress_bar is not False)]
