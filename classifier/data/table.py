"""Images of the user, listed in a CSV file."""

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from classifier.data.file_base import FileDataModule
from classifier.data.layout import check_class_names, normalise
from classifier.data.listing import LabelledFiles
from classifier.data.opening import open_regular_file
from classifier.data.splits import find_split
from classifier.errors import UserError, make_printable, one_line
from classifier.hparams import LOCAL_PATH, Limit

MAX_FILE_SIZE = 10**9  # bytes; a table of 10 million images has about this size
DELIMITERS = ",;\t"  # spreadsheets write a semicolon where the comma is the decimal sign


class Row(NamedTuple):
    """A row of the table: the line that it ends on, and the values of its columns ("" if there is no such column)."""

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
        self.rows = list(self._read_rows())
        names = sorted({row.label for row in self.rows})
        check_class_names(names, self.describe())
        if len(names) < min_classes:
            raise UserError(f"{self.describe()} must contain {min_classes} or more classes, and has {len(names)}")
        self._check_rows()
        return tuple(names), {row.split for row in self.rows}

    def list_files(self) -> LabelledFiles:
        """Return the files in the table and their labels."""
        labels = {name: label for label, name in enumerate(self.class_names)}
        return LabelledFiles(
            paths=[os.path.normpath(os.path.join(self.root, row.path)) for row in self.rows],  # noqa: PTH118 5 times as fast
            labels=[labels[row.label] for row in self.rows],
            keys=[f"group {row.group}" if row.group else normalise(row.path) for row in self.rows],
            splits=[row.split for row in self.rows],
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
        h = self.hparams
        try:
            with open_regular_file(h.file, MAX_FILE_SIZE) as file:
                text = file.read().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise UserError(f"{self.describe()} cannot be read as a table in UTF-8: {reason}") from error
        header = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=header.count), strict=True)
        try:
            columns = [name.strip() for name in next(reader, [])]
            places = [self._find_column(columns, name) for name in (h.path_column, h.label_column)]
            optional = [columns.index(name) if name in columns else None for name in (h.split_column, h.group_column)]
            for values in reader:
                if not any(map(str.strip, values)):
                    continue
                line = reader.line_num
                if len(values) != len(columns):
                    raise self._fail(line, f"there are {len(values)} values in {len(columns)} columns")
                cells = [values[i].strip() if i is not None else "" for i in (*places, *optional)]
                yield self._make_row(line, cells, has_splits=optional[0] is not None)
        except csv.Error as error:
            raise self._fail(reader.line_num, str(error)) from error

    def _find_column(self, columns: list[str], name: str) -> int:
        """Return the place of a column.

        Raises:
            UserError: There is no such column, or there are several.
        """
        if columns.count(name) != 1:
            found = "several columns" if name in columns else "no column"
            raise self._fail(
                1,
                f"there is {found} {name!r} among {', '.join(columns)}: set --data.path_column or --data.label_column",
            )
        return columns.index(name)

    def _make_row(self, line: int, cells: list[str], has_splits: bool) -> Row:
        """Return a row with the usual name of its split.

        Raises:
            UserError: The path or the class is empty, or the split is unknown.
        """
        path, label, split, group = cells
        if not path or not label or "\0" in path:
            raise self._fail(line, f"the {'class' if path and label == '' else 'path'} is empty or contains a null")
        if has_splits and find_split(split) is None:
            raise self._fail(line, f"the split is {split!r}, and must be train, val or test")
        return Row(line, path, normalise(label), find_split(split) or "" if has_splits else "", group)

    def _check_rows(self) -> None:
        """Check that no image and no group is on two sides of a split, and that every class can be trained.

        Raises:
            UserError: An image is listed twice, a group has several splits, or a class has no training image.
        """
        paths: dict[str, Row] = {}
        groups: dict[str, Row] = {}
        trained = {row.label for row in self.rows if row.split in ("", "train")}
        for row in self.rows:
            path = os.path.normpath(row.path)
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
