"""Output files: checked before the work, written atomically, and as CSV safe to open in a spreadsheet."""

import contextlib
import csv
import errno
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

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
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def name_columns(class_names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the names of the columns with the probabilities of the classes, which differ from the other columns."""
    taken = set(others)
    return [f"probability of {name}" if name in taken else name for name in class_names]


class CsvRows:
    """Writes rows as CSV, with a column for the probability of every class. It is safe to open in a spreadsheet.

    Args:
        file: The open file.
        columns: Names of the columns before those of the probabilities.
        class_names: Names of the C classes in the order of their labels.
    """

    def __init__(self, file: TextIO, columns: Sequence[str], class_names: Sequence[str]) -> None:
        self.writer = csv.writer(file, lineterminator="\n")
        self.writer.writerow(format_row([*columns, *name_columns(class_names, columns)]))

    def add(self, values: Sequence[Any], probabilities: Sequence[float]) -> None:
        """Write a row: a value for every column, and the probabilities of the C classes."""
        self.writer.writerow(format_row([*values, *probabilities]))

    def finish(self) -> None:
        """Write what follows after the last row: nothing."""


class JsonRows:
    """Writes rows as JSON objects, with the probabilities of all classes as an object under "probabilities".

    Args:
        file: The open file.
        columns: Names of the values.
        class_names: Names of the C classes in the order of their labels.
        lines: Whether to write one object per line, instead of a list of objects.
    """

    def __init__(self, file: TextIO, columns: Sequence[str], class_names: Sequence[str], lines: bool = False) -> None:
        self.file, self.columns, self.class_names, self.lines = file, columns, class_names, lines
        self.separator = "" if lines else "[\n"

    def add(self, values: Sequence[Any], probabilities: Sequence[float]) -> None:
        """Write an object: a value for every column, and the probabilities of the C classes."""
        row = {name: to_json(value) for name, value in zip(self.columns, values, strict=True)}
        row["probabilities"] = dict(zip(self.class_names, map(to_json, probabilities), strict=True))
        self.file.write(self.separator + json.dumps(row))
        self.separator = "\n" if self.lines else ",\n"

    def finish(self) -> None:
        """Write what follows after the last object."""
        if self.lines:
            self.file.write(self.separator)
        else:
            self.file.write("[]\n" if self.separator == "[\n" else "\n]\n")


def to_json(value: Any) -> Any:
    """Return a value with 7 significant digits if it is a float, and None for NaN and infinity."""
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


FORMATS = {".csv": CsvRows, ".json": JsonRows}


def check_output(
    output: str,
    suffixes: Sequence[str] = tuple(FORMATS),
    contents: str = "the table is written as CSV or JSON",
) -> None:
    """Check that a file can be written, before the work whose results it contains.

    Args:
        output: Path of the file, or of a device such as /dev/stdout.
        suffixes: What the name may end in.
        contents: Why, for the error message.

    Raises:
        SettingError: The name does not end in one of the suffixes.
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
            path.suffix.lower() in suffixes,
            f"--output {make_printable(path)}: {contents}, so give the file a name that ends in "
            f"{' or '.join(suffixes)}, such as {make_printable(path.stem)}{suffixes[0]}",
        )
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=PREFIX) as folder:
            Path(folder, path.name).touch()


@contextlib.contextmanager
def open_rows(output: str, columns: Sequence[str], class_names: Sequence[str]) -> Iterator[CsvRows | JsonRows]:
    """Yield a writer of rows to a file. The extension of the file selects the format, and a device gets CSV.

    Args:
        output: Path of the file or the device.
        columns: Names of the columns before those of the probabilities.
        class_names: Names of the C classes in the order of their labels.

    Raises:
        UserError: The file cannot be written.
    """
    with open_output(output) as file:
        rows = FORMATS.get(Path(output).suffix.lower(), CsvRows)(file, columns, class_names)
        yield rows
        rows.finish()


@contextlib.contextmanager
def open_output(output: str) -> Iterator[TextIO]:
    """Yield a text file that is written atomically, unless it is a device such as /dev/stdout.

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
