"""Images of the user, listed in a CSV file."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from classifier.data.opening import open_regular_file
from classifier.data.own_images.file_base import FileDataModule
from classifier.data.own_images.layout import check_class_names, make_key, normalise
from classifier.data.own_images.listing import LabelledFiles
from classifier.data.splits import find_split
from classifier.errors import UserError, make_printable, one_line
from classifier.hparams import LOCAL_PATH, Limit

MAX_FILE_SIZE = 10**9  # bytes; a table of 10 million images has about this size
DELIMITERS = ",;\t"  # spreadsheets write a semicolon where the comma is the decimal sign
# Names of the columns, unless they are set, by option.
COLUMNS = {"path_column": "path", "label_column": "label", "split_column": "split", "group_column": "group"}
OPTIONAL = ("split_column", "group_column")


class Row(NamedTuple):
    """A row of the table: the line that it begins on, and the values of its columns ("" if there is no such column)."""

    line: int
    path: str
    label: str
    split: str
    group: str


class ImageTable(FileDataModule):
    """Images of your own, listed in a CSV file with a row per image.

    The first row contains the names of the columns. A column contains the paths of the images, relative to the file,
    and another one their classes. A third column may assign every image to "train", "val" or "test", also in the
    variants that ImageFolder accepts. A fourth one may name a group; the images of a group, for example of one patient
    or one video, are never separated when images are held out for testing or validation. Other columns are ignored.
    The delimiter is a comma, a semicolon or a tab, and the encoding is UTF-8.

    Args:
        file: The CSV file.
        path_column: Name of the column with the paths.
        label_column: Name of the column with the classes.
        split_column: Name of the column with the splits, which may be missing.
        group_column: Name of the column with the groups, which may be missing.
        root: Folder that paths are relative to; by default that of the file.
        **kwargs: Further arguments of FileDataModule.

    Raises:
        SettingError: An argument is out of range.
        UserError: The file cannot be read, or a row is wrong. The message contains the number of its line.
    """

    limits: ClassVar[dict[str, Limit]] = {"file": LOCAL_PATH}

    def __init__(
        self,
        file: str,
        path_column: str = "path",
        label_column: str = "label",
        split_column: str = "split",
        group_column: str = "group",
        root: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=os.fspath(Path(file).parent) if root is None else root, **kwargs)

    def find_classes(self, min_classes: int) -> tuple[tuple[str, ...], set[str]]:
        """Read the table, and return the sorted names of the classes and the splits in it.

        Raises:
            UserError: The file cannot be read, a row is wrong, or there are fewer than `min_classes` classes.
        """
        self.base = os.path.abspath(self.root)  # noqa: PTH100 keeps links
        self.rows = list(self._read_rows())
        lines = {row.label: row.line for row in reversed(self.rows)}
        names = sorted(lines)
        for name in names:
            check_class_names([name], f"{self.describe()}, line {lines[name]}")
        if len(names) < min_classes:
            raise UserError(f"{self.describe()} must contain {min_classes} or more classes, and has {len(names)}")
        self._check_rows()
        return tuple(names), {row.split for row in self.rows}

    def list_files(self) -> LabelledFiles:
        """Return the files in the table and their labels."""
        labels = {name: label for label, name in enumerate(self.class_names)}
        prefix = os.path.join(self.base, "")  # noqa: PTH118 ends with a slash
        paths = [os.path.normpath(os.path.join(self.root, row.path)) for row in self.rows]  # noqa: PTH118 5 times as fast
        return LabelledFiles(
            paths=paths,
            labels=[labels[row.label] for row in self.rows],
            keys=[
                f"group {row.group}" if row.group else make_key(self._locate(row).removeprefix(prefix))
                for row in self.rows
            ],
            splits=[row.split for row in self.rows],
            lines=[row.line for row in self.rows],
        )

    def describe(self) -> str:
        """Return the path of the file, for messages."""
        return make_printable(self.hparams.file)

    def _fail(self, line: int, problem: str) -> UserError:
        """Return an error about a line of the file."""
        return UserError(f"{self.describe()}, line {line}: {make_printable(problem)}")

    def _read_rows(self) -> Iterator[Row]:
        """Yield the rows of the table, with empty lines left out.

        Raises:
            UserError: The file cannot be read, a column is missing, or a row has an empty path, class or split.
        """
        text, line = self._read_text(), 1
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=self._find_delimiter(text), strict=True)
        columns: list[str] = []
        places: list[int | None] = []
        try:
            for values in reader:
                if not any(map(str.strip, values)):
                    pass
                elif not columns:
                    columns = [name.strip() for name in values]
                    places = [self._find_column(columns, option, line) for option in COLUMNS]
                elif len(values) != len(columns):
                    raise self._fail(
                        line, f"the number of values is {len(values)}, but there are {len(columns)} columns"
                    )
                else:
                    cells = [values[i] if i is not None else "" for i in places]
                    cells[1:] = map(str.strip, cells[1:])  # a file name can begin or end with a space
                    yield self._make_row(line, cells, has_splits=places[2] is not None)
                line = reader.line_num + 1
        except csv.Error as error:
            raise self._fail(line, str(error)) from error

    def _read_text(self) -> str:
        """Return the text of the file.

        Raises:
            UserError: The file cannot be read, or its encoding is not UTF-8.
        """
        try:
            with open_regular_file(self.hparams.file, MAX_FILE_SIZE) as file:
                content = file.read()
        except OSError as error:
            raise UserError(f"{self.describe()} cannot be read: {error.strerror or one_line(error)}") from error
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            # With a byte order mark, positions in the error count from behind it.
            before = error.object[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            problem = f"the byte {error.object[error.start]:#04x} is not UTF-8: save the file with the encoding UTF-8"
            raise self._fail(before.count(b"\n") + 1, problem) from error

    def _find_delimiter(self, text: str) -> str:
        """Return the delimiter for which the first row has the two columns that are needed, by default a comma."""
        header = [next((line for line in io.StringIO(text, newline=None) if line.strip()), "")]
        for delimiter in DELIMITERS:
            columns = {name.strip() for name in next(csv.reader(header, delimiter=delimiter))}
            if {self.hparams.path_column, self.hparams.label_column} <= columns:
                return delimiter
        return max(DELIMITERS, key=header[0].count)

    def _find_column(self, columns: list[str], option: str, line: int) -> int | None:
        """Return the place of the column that an option names, or None if an optional column is missing.

        Raises:
            UserError: There is no such column, although it is needed or named by the user, or there are several.
        """
        name = self.hparams[option]
        if name in columns and columns.count(name) == 1:
            return columns.index(name)
        if name not in columns and COLUMNS[option] == name and option in OPTIONAL:
            return None
        found = "there are several columns" if name in columns else "there is no column"
        raise self._fail(line, f"{found} {name!r} among {', '.join(columns)}: set --data.{option}")

    def _make_row(self, line: int, cells: list[str], has_splits: bool) -> Row:
        """Return a row with the usual name of its split.

        Raises:
            UserError: The path or the class is empty, or the split is unknown.
        """
        path, label, split, group = cells
        if not path.strip() or not label:
            raise self._fail(line, f"the {'class' if path.strip() else 'path'} is empty")
        if "\0" in path:
            raise self._fail(line, "the path contains a null character")
        if has_splits and find_split(split) is None:
            raise self._fail(line, f"the split is {split!r}, and must be train, val or test")
        return Row(line, path, normalise(label), find_split(split) or "" if has_splits else "", normalise(group))

    def _locate(self, row: Row) -> str:
        """Return the absolute path of an image, which is the same for all ways to write it."""
        return os.path.normpath(os.path.join(self.base, row.path))  # noqa: PTH118 5 times as fast

    def _check_rows(self) -> None:
        """Check that no image and no group is on two sides of a split, and that every class can be trained.

        Raises:
            UserError: An image is listed twice, a group has several splits, or a class has no training image.
        """
        paths: dict[str, Row] = {}
        groups: dict[str, Row] = {}
        trained = {row.label for row in self.rows if row.split in ("", "train")}
        for row in self.rows:
            path = self._locate(row)
            if path in paths:
                raise self._fail(row.line, f"{row.path} is already on line {paths[path].line}")
            paths[path] = row
            first = groups.setdefault(row.group, row) if row.group else row
            if first.split != row.split:
                raise self._fail(
                    row.line,
                    f"the group {row.group!r} is in {row.split}, and on line {first.line} in {first.split}",
                )
            if trained and row.label not in trained:
                raise self._fail(row.line, f"the class {row.label!r} has no training image")
