"""The table of runs: a row per run, with the settings in which they differ and the metrics of the kept epoch."""

import re
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from classifier.analysis.results.settings import MISSING, find_differing_settings, is_neutral
from classifier.errors import make_printable, require
from classifier.runs.summaries import RunSummary

# The settings that matter first; the others follow in the order of the configuration.
FIRST_SETTINGS = ("model", "data", "model.lr", "data.batch_size", "trainer.max_epochs")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: the value, which is sorted by and written to a file, and the text that is printed."""

    value: Any
    text: str


@dataclass(frozen=True)
class Table:
    """A table with named columns.

    Args:
        columns: Names of the columns.
        settings: Those columns that are settings of a run.
        rows: Cells of every row, in the order of the columns.
    """

    columns: list[str]
    settings: set[str]
    rows: list[list[Cell]]


def make_table(runs: Sequence[RunSummary], shown: Collection[str] = ()) -> Table:
    """Return the table of runs: name, differing settings, seed, epochs, metrics, size and state.

    Columns without any value are left out.

    Args:
        runs: The runs.
        shown: Names of settings to include also if they have no effect on the results.
    """
    differing = list_differing(runs, shown)
    metrics = sort_metrics(name for run in runs for name in run.metrics)
    columns = {
        "name": [Cell(run.name, make_printable(run.name)) for run in runs],
        **differing,
        "seed": [make_cell(run.seed) for run in runs],
        "epochs": [make_cell(run.epochs) for run in runs],
        "best_epoch": [make_cell(run.best_epoch) for run in runs],
        **{name: [make_cell(run.metrics.get(name), name) for run in runs] for name in metrics},
        "size": [Cell(run.size, format_size(run.size)) for run in runs],
        "state": [make_cell(run.state) for run in runs],
    }
    columns = {name: cells for name, cells in columns.items() if any(cell.value is not None for cell in cells)}
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    return Table(list(columns), set(differing), rows)


def summarise_groups(groups: Sequence[Sequence[RunSummary]], shown: Collection[str] = ()) -> Table:
    """Return a table with a row per group of runs: the differing settings, and mean and deviation of the metrics.

    Args:
        groups: Runs that differ in their seed only.
        shown: Names of settings to include also if they have no effect on the results.
    """
    differing = list_differing([group[0] for group in groups], shown)
    metrics = sort_metrics(name for group in groups for run in group for name in run.metrics)
    columns = {
        **differing,
        "seeds": [make_cell(len(group)) for group in groups],
        **{name: [summarise(name, [run.metrics.get(name) for run in group]) for group in groups] for name in metrics},
    }
    return Table(list(columns), set(differing), [list(row) for row in zip(*columns.values(), strict=True)])


def summarise(name: str, values: Sequence[float | None]) -> Cell:
    """Return the mean and, of at least two values, the standard deviation of a metric; empty if a value is missing."""
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        return make_cell(None)
    deviation = f" ± {format_metric(name, statistics.stdev(present))}" if len(present) > 1 else ""
    mean = statistics.mean(present)
    return Cell(mean, format_metric(name, mean) + deviation)


def list_differing(runs: Sequence[RunSummary], shown: Collection[str] = ()) -> dict[str, list[Cell]]:
    """Return the settings in which runs differ and that affect their results or are in `shown`, by importance."""
    names = dict.fromkeys([*FIRST_SETTINGS, *(name for run in runs for name in run.settings)])
    # Before the values are formatted, which takes 0.1 ms each.
    varied = [name for name in names if len({repr(run.settings.get(name)) for run in runs}) > 1]
    chosen = [name for name in varied if name in shown or not is_neutral(name)]
    texts = find_differing_settings([{name: run.settings.get(name) for name in chosen} for run in runs])
    return {
        make_printable(name): [
            Cell(value, MISSING if value is None else text)
            for value, text in zip((run.settings.get(name) for run in runs), texts[name], strict=True)
        ]
        for name in chosen
        if name in texts
    }


def sort_metrics(names: Iterable[str]) -> list[str]:
    """Return the names of metrics without repetition: accuracies, losses, and then those that a network logs itself."""
    return sorted(
        dict.fromkeys(names), key=lambda name: not name.startswith("accuracy/") + name.startswith("loss/") * 2
    )


def make_cell(value: Any, metric: str = "") -> Cell:
    """Return the cell of a value, formatted as a metric if the name of one is given; None is an empty cell."""
    return Cell(value, MISSING if value is None else format_metric(metric, value) if metric else str(value))


def format_metric(name: str, value: float) -> str:
    """Return a metric as text: an accuracy in percent, a loss with four decimals, others with four digits."""
    if name.startswith("accuracy"):
        return f"{value:.2%}"
    return f"{value:.4f}" if name.startswith("loss") else f"{value:.4g}"


def format_size(size: int) -> str:
    """Return a number of bytes as kB, MB or GB."""
    unit, divisor = next(pair for pair in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if size >= pair[1] or pair[1] == 1e3)
    return f"{size / divisor:.1f} {unit}"


def sort_table(table: Table, column: str) -> Table:
    """Return a table sorted by a column: metrics other than losses from high to low, others from low to high.

    Rows without a value come last.

    Args:
        table: The table.
        column: Name of the column.

    Raises:
        SettingError: There is no such column.
    """
    require(column in table.columns, f"--sort {column}: give one of the columns {', '.join(table.columns)}")
    position = table.columns.index(column)
    present = [row for row in table.rows if row[position].value is not None]
    missing = [row for row in table.rows if row[position].value is None]
    is_metric = column not in (*table.settings, "name", "seed", "epochs", "best_epoch", "size", "state")
    present.sort(key=lambda row: get_key(row[position].value), reverse=is_metric and not column.startswith("loss"))
    return Table(table.columns, table.settings, present + missing)


def get_key(value: Any) -> tuple[int, Any]:
    """Return the key by which a value is sorted: numbers before texts, and version_9 before version_10."""
    if isinstance(value, (int, float)):
        return 0, value
    return 1, [(part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", str(value))]


def format_table(table: Table, width: int | None = None) -> str:
    """Return a table as text, with a line per row.

    Args:
        table: The table.
        width: Number of characters per line, or None for no limit. Settings that do not fit are left out, the last one
            first, and counted in a line below the table.
    """
    columns = list(table.columns)
    texts = {name: [name, *(row[i].text for row in table.rows)] for i, name in enumerate(columns)}
    widths = {name: max(map(len, cells)) for name, cells in texts.items()}
    left_out: list[str] = []
    for name in reversed([name for name in columns if name in table.settings]):
        if width is None or sum(widths[name] + 2 for name in columns) - 2 <= width:
            break
        columns.remove(name)
        left_out.insert(0, name)
    is_number = {
        name: all(isinstance(row[table.columns.index(name)].value, int | float | None) for row in table.rows)
        for name in columns
    }
    lines = [
        "  ".join(
            texts[name][i].rjust(widths[name]) if is_number[name] else texts[name][i].ljust(widths[name])
            for name in columns
        ).rstrip()
        for i in range(len(table.rows) + 1)
    ]
    if left_out:
        lines.append(f"not shown: {', '.join(left_out)} (--output runs.csv contains all columns)")
    return "\n".join(lines)
