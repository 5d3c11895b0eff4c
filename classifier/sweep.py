"""The table that a sweep over seeds ends in."""

import json
import statistics
from pathlib import Path

FIGURES = ("accuracy/test", "loss/test", "accuracy/val", "loss/val")


def describe_runs(runs: list[Path]) -> str:
    """Return a table of what runs ended with: a line a run, mean and standard deviation (of a sample) over them.

    Args:
        runs: Folders of at least two runs, each with its `results.json`.
    """
    results = [json.loads((run / "results.json").read_text()) for run in runs]
    last = [result["epochs"][-1] for result in results]
    tags = [tag for tag in FIGURES if all(epoch.get(tag) is not None for epoch in last)]
    rows = [
        [f"seed {result['seed']}", *(epoch[tag] for tag in tags)] for result, epoch in zip(results, last, strict=True)
    ]
    columns = list(zip(*rows, strict=True))[1:]
    rows += [["mean", *map(statistics.mean, columns)], ["standard deviation", *map(statistics.stdev, columns)]]
    names = [" ".join(reversed(tag.split("/"))) for tag in tags]
    lines = [f"{f'{len(runs)} runs':<18}" + "".join(f"  {name:>13}" for name in names)]
    for (title, *figures), run in zip(rows, [*runs, "", ""], strict=True):
        cells = [f"{x:.2%}" if tag.startswith("accuracy") else f"{x:.4f}" for tag, x in zip(tags, figures, strict=True)]
        lines.append((f"{title:<18}" + "".join(f"  {cell:>13}" for cell in cells) + f"  {run}").rstrip())
    return "\n".join(lines)
