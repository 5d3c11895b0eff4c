"""The accuracies of all classes as lines for a terminal."""

import math

from classifier.columns import MAX_NAME, fit, measure
from classifier.errors import make_printable

MAX_CLASSES = 20  # that are all shown
NUM_WORST = 10  # of more classes
MAX_WIDTH, GAP = 80, "  "  # of a line in characters, and between two columns


def format_accuracies(split: str, accuracies: dict[str, float], note: str = "") -> list[str]:
    """Return a table of the accuracies of classes: all in order or, of more than 20, the 10 lowest, lowest first.

    Args:
        split: "val" or "test".
        accuracies: Accuracy (0 to 1) by class name; NaN for a class without images.
        note: What the first line adds to the name of the split, such as ", epoch 3".
    """
    title = f"{split} accuracy by class{note}"
    if len(accuracies) <= MAX_CLASSES:
        return [title, *format_columns(accuracies)]
    scored = {name: value for name, value in accuracies.items() if not math.isnan(value)}
    ordered = sorted(scored, key=scored.__getitem__)
    worst, others = ordered[:NUM_WORST], ordered[NUM_WORST:]
    lines = [f"{title}, lowest first", *format_columns({name: scored[name] for name in worst})]
    if others:
        low, high = (f"{scored[name]:.1%}" for name in (others[0], others[-1]))
        lines.append(f"  ... and {len(others):,} more classes with {low} to {high}")
    if empty := len(accuracies) - len(scored):
        lines.append(f"  ... and {empty:,} more classes without {split} images")
    return lines


def format_columns(accuracies: dict[str, float]) -> list[str]:
    """Return the names and accuracies of classes in as many columns as fit in 80 characters, at most 5."""
    width = min(MAX_NAME, max(measure(make_printable(name)) for name in accuracies) if accuracies else 0)
    values = [f"{value:6.1%}" if not math.isnan(value) else "no images" for value in accuracies.values()]
    size = max(map(len, values), default=0)
    cells = [f"  {fit(name, max(3, width))} {value:>{size}}" for name, value in zip(accuracies, values, strict=True)]
    columns = min(5, max(1, (MAX_WIDTH + len(GAP)) // (measure(cells[0]) + len(GAP)))) if cells else 1
    return [GAP.join(cells[start : start + columns]) for start in range(0, len(cells), columns)]
