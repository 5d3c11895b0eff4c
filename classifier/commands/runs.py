"""Print a table of runs."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from classifier.analysis.results.run_table import Table, format_table, make_table, sort_table
from classifier.errors import UserError, make_printable
from classifier.runs.folders import LOGS
from classifier.runs.summaries import find_runs, is_run
from classifier.tables import check_output, format_row, open_output, to_json

MAX_NAMES = 3  # damaged runs that are named


def runs(folder: str = LOGS, sort: str | None = None, output: str | None = None) -> None:
    """Print a table of the runs in a folder.

    The table shows the settings in which the runs differ, and the metrics of the best epoch on the validation images
    or, without such images, of the last epoch.

    Args:
        folder: Folder that contains the folders of runs.
        sort: Column to sort by, such as accuracy/val; accuracies and other metrics are sorted from high to low, losses
            and all other columns from low to high. By default, runs are sorted by the time of their start.
        output: CSV or JSON file to write the table to, with all columns and unrounded values.

    Raises:
        UserError: There is no run in the folder, there is no such column, or the file cannot be written.
    """
    if output is not None:
        check_output(output)
    found, damaged, num_others = find_runs(Path(folder))
    if not found:
        raise UserError(describe_absence(Path(folder), damaged))
    table = make_table(found)
    if sort is not None:
        table = sort_table(table, sort)
    print(format_table(table, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    if skipped := describe_skipped(damaged, num_others):
        print(skipped)
    if output is not None:
        write_table(output, table)


def describe_absence(folder: Path, damaged: Sequence[Path]) -> str:
    """Return an error message for a folder that contains no undamaged run."""
    text = f"there is no run in {make_printable(folder)}"
    if damaged:
        return f"{text}; {describe_skipped(damaged, 0)}"
    if (folder / LOGS).is_dir():
        return f"{text}; did you mean {make_printable(folder / LOGS)}?"
    if is_run(folder):
        return f"{text}, but it is the folder of one; did you mean {make_printable(folder.parent)}?"
    return text


def describe_skipped(damaged: Sequence[Path], num_others: int) -> str:
    """Return one line about the folders that are not in the table, or "" if there are none."""
    names = ", ".join(make_printable(os.path.relpath(path)) for path in damaged[:MAX_NAMES])
    parts = []
    if damaged:
        more = f" and {len(damaged) - MAX_NAMES} more" if len(damaged) > MAX_NAMES else ""
        parts.append(f"{len(damaged)} with a damaged results.json or config.yaml ({names}{more})")
    if num_others:
        parts.append(f"{num_others} without a run")
    count = len(damaged) + num_others
    return f"not in the table: {count} folder{'s' * (count != 1)}, {' and '.join(parts)}" if parts else ""


def write_table(output: str, table: Table) -> None:
    """Write a table to a CSV or JSON file."""
    rows = [[cell.value for cell in row] for row in table.rows]
    with open_output(output) as file:
        if Path(output).suffix.lower() == ".json":
            objects = [dict(zip(table.columns, map(to_json, row), strict=True)) for row in rows]
            json.dump(objects, file, indent=2, default=str)  # YAML has dates
            file.write("\n")
        else:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(format_row(table.columns))
            writer.writerows(format_row("" if value is None else value for value in row) for row in rows)
