"""Train with several seeds, and print a table of the results."""

import gc
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

from classifier.errors import UserError
from classifier.runs.records import read_record

COLUMNS = ("accuracy/test", "loss/test", "accuracy/val", "loss/val")


def train_remaining_seeds(train: Callable[[int], Path], first_run: Path, seeds: Iterable[int]) -> None:
    """Train one run per remaining seed, one after the other, and print a table of all runs.

    Args:
        train: Function that trains with a seed and returns the folder of the run.
        first_run: Folder of the run with the first seed.
        seeds: The remaining seeds.
    """
    runs = [first_run]
    for seed in seeds:
        gc.collect()  # frees the data of the previous run
        print(f"\nseed {seed}", flush=True)
        runs.append(train(seed))
    print("\n" + format_runs(runs))


def read_last_epoch(run: Path) -> tuple[int, dict[str, float | None]]:
    """Return the seed and the metrics of the last epoch in the `results.json` of a run.

    Raises:
        UserError: The file is missing or damaged.
    """
    problem = f"{run / 'results.json'} is missing or damaged, so there is no table"
    try:
        record = read_record(run)
    except UserError as error:
        raise UserError(problem) from error
    if record.seed is None or not record.epochs:
        raise UserError(problem)
    return record.seed, record.epochs[-1]


def format_runs(runs: list[Path]) -> str:
    """Return a table of the metrics after the last epoch: one line per run, the mean, and the standard deviation.

    Args:
        runs: Folders of at least two runs, each with its `results.json`.

    Raises:
        UserError: A `results.json` is missing or damaged.
    """
    seeds, last = zip(*map(read_last_epoch, runs), strict=True)
    tags = [tag for tag in COLUMNS if all(isinstance(epoch.get(tag), (int, float)) for epoch in last)]
    rows = [[epoch[tag] for tag in tags] for epoch in last]
    columns = list(zip(*rows, strict=True))
    rows += [list(map(statistics.mean, columns)), list(map(statistics.stdev, columns))]
    titles = [*(f"seed {seed}" for seed in seeds), "mean", "standard deviation"]
    names = [" ".join(reversed(tag.split("/"))) for tag in tags]
    lines = [f"{f'{len(runs)} runs':<18}" + "".join(f"  {name:>13}" for name in names)]
    for title, values, run in zip(titles, rows, [*runs, "", ""], strict=True):
        cells = [f"{x:.2%}" if tag.startswith("accuracy") else f"{x:.4f}" for tag, x in zip(tags, values, strict=True)]
        lines.append((f"{title:<18}" + "".join(f"  {cell:>13}" for cell in cells) + f"  {run}").rstrip())
    return "\n".join(lines)
