"""What is printed and written for every predicted image."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Literal

from torch import Tensor
from tqdm import tqdm

from classifier.columns import MAX_NAME, MAX_PATH, fit, measure
from classifier.errors import make_printable
from classifier.tables import CsvRows, JsonRows, open_rows

PredictionFormat = Literal["text", "csv", "json"]
COLUMNS = ("file", "class", "probability")


class PredictionTable:
    """Prints one line per predicted image, and writes one row per image to a file.

    It is a context manager that closes the file at exit.

    Args:
        paths: Paths of all image files.
        class_names: Names of the C classes in the order of their labels.
        output: CSV or JSON file to write, with one row per image, or None.
        format: What to print for every image: text for people, or a row as csv or json, without further lines.

    Raises:
        UserError: The file cannot be written.
    """

    def __init__(
        self,
        paths: Sequence[str],
        class_names: Sequence[str],
        output: str | None = None,
        format: PredictionFormat = "text",  # noqa: A002 as the option
    ) -> None:
        self.paths, self.class_names = paths, class_names
        self.num_predicted = self.num_inverted = self.num_skipped = 0
        self.stack = ExitStack()
        self.is_text = format == "text"
        self.written = [self.stack.enter_context(open_rows(output, COLUMNS, class_names))] if output else []
        self.printed: list[CsvRows | JsonRows] = []
        if format == "csv":
            self.printed = [CsvRows(sys.stdout, COLUMNS, class_names)]
        elif format == "json":
            self.printed = [JsonRows(sys.stdout, COLUMNS, class_names, lines=True)]
        self.path_width = min(MAX_PATH, max(4, *(measure(make_printable(path)) for path in paths)))
        self.name_width = min(MAX_NAME, max(11, *map(measure, class_names)))

    def __enter__(self) -> "PredictionTable":
        """Print the header of the table; on a terminal, show a progress bar after two seconds."""
        # The bar appears after two seconds.
        bar = tqdm(total=len(self.paths), unit=" images", disable=None, leave=False, delay=2)
        self.progress = self.stack.enter_context(bar)
        if self.is_text:
            tqdm.write(self._format("file", "class", "probability", "second best", "probability"))
        return self

    def _format(self, path: str, first: str, probability: str, second: str, second_probability: str) -> str:
        """Return a line of the table, in which control characters are masked and long names are cut."""
        names = fit(first, self.name_width), fit(second, self.name_width)
        path = fit(path, self.path_width, keep_end=True)
        return f"{path}  {names[0]}  {probability:>11}  {names[1]}  {second_probability:>11}"

    def add(self, probabilities: Tensor, indices: list[int], problems: list[str], inverted: Tensor) -> None:
        """Print and write the predictions of a batch, and print the messages about unreadable files to stderr.

        Args:
            probabilities: Class probabilities (N, C), float, from 0 to 1.
            indices: Indices of the N images in `paths`.
            problems: One message per unreadable file.
            inverted: Bool mask (N,) of the inverted images.
        """
        ordered = probabilities.sort(dim=1, descending=True, stable=True)  # of equal ones, the first, like argmax
        columns = (indices, probabilities.tolist(), ordered.values.tolist(), ordered.indices.tolist())
        for index, row, values, classes, was_inverted in zip(*columns, inverted.tolist(), strict=True):
            first, second = (self.class_names[label] for label in classes[:2])
            if self.is_text:
                line = self._format(self.paths[index], first, f"{values[0]:.1%}", second, f"{values[1]:.1%}")
                tqdm.write(line + "  inverted" * was_inverted)
            for rows in (*self.written, *self.printed):
                rows.add([self.paths[index], first, values[0]], row)
        for problem in problems:
            tqdm.write(f"skipped: {problem}", file=sys.stderr)
        sys.stdout.flush()  # without delay also in a pipe or a file
        self.num_predicted += len(indices)
        self.num_inverted += int(inverted.sum())
        self.num_skipped += len(problems)
        self.progress.update(len(indices) + len(problems))

    def __exit__(self, error_type: type | None, *error: Any) -> None:
        """Print the number of images, and close the progress bar and, unless there was an error, the file."""
        if error_type is None:
            for rows in self.printed:
                rows.finish()
            line = f"\n{self.num_predicted:,} image{'s' * (self.num_predicted != 1)}"
            if self.num_inverted:
                line += f", {self.num_inverted:,} of them inverted: --invert no leaves images unchanged"
            tqdm.write(line.lstrip("\n") if self.printed else line, file=sys.stderr if self.printed else sys.stdout)
        self.stack.__exit__(error_type, *error)
