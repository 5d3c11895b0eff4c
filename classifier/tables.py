"""CSV files with one row per image: checked before the work, written atomically, and safe to open in a spreadsheet."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from classifier.errors import UserError, make_printable, require
from classifier.files import PREFIX, atomic_write

# A spreadsheet runs a cell that begins with one of these as a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def format_row(values: Iterable[str | int | float]) -> list[str]:
    """Return the cells of a row.

    Texts that a spreadsheet would run as a formula get a leading apostrophe, and floats have 7 significant digits.
    """
    return [format_cell(value) for value in values]


def format_cell(value: str | int | float) -> str:
    """Return one cell; see `format_row`."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def name_columns(class_names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the names of the columns with the probabilities of the classes, which differ from the other columns."""
    taken = set(others)
    return [f"probability of {name}" if name in taken else name for name in class_names]


def check_output(output: str) -> None:
    """Check that a CSV file can be written, before the work whose results it contains.

    Args:
        output: Path of the file, or of a device such as /dev/stdout.

    Raises:
        SettingError: The name does not end in ".csv".
        UserError: The path is a folder, or its folder is missing or cannot be written to.
    """
    path = Path(output)
    with report_failures(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if is_device(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        require(
            path.suffix.lower() == ".csv",
            f"--output {make_printable(path)}: the table is written as CSV, so give the file a name that ends in .csv, "
            f"such as {make_printable(path.stem)}.csv",
        )
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=PREFIX) as folder:
            Path(folder, path.name).touch()


@contextlib.contextmanager
def open_output(output: str) -> Iterator[TextIO]:
    """Yield a CSV file that is written atomically, unless it is a device such as /dev/stdout.

    Args:
        output: Path of the file or the device.

    Raises:
        UserError: The file cannot be written.
    """
    path = Path(output)
    is_file = not is_device(path)
    destination = atomic_write(path) if is_file else contextlib.nullcontext(path)
    with (
        report_failures(path),
        destination as unfinished,
        # What a shell has redirected to a file, and what was printed to it before, must not be overwritten.
        unfinished.open("w" if is_file else "a", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        yield file


@contextlib.contextmanager
def report_failures(path: Path) -> Iterator[None]:
    """Raise a UserError in place of an OSError, unless the reader of standard output has exited."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"--output {make_printable(path)} cannot be written: {error.strerror}") from error


def is_device(path: Path) -> bool:
    """Return whether a path is a device or a pipe, also /dev/stdout if it is redirected to a file."""
    is_standard_stream = path.is_symlink() and path.parts[:2] in (("/", "dev"), ("/", "proc"))
    return is_standard_stream or (path.exists() and not path.is_file() and not path.is_dir())
