"""The accuracies of all classes as lines for a terminal."""

import math

from classifier.columns import MAX_NAME, fit, measure
from classifier.errors import make_printable

MAX_CLASSES = 20  # that are all shown
NUM_WORST = 10  # of more classes


def format_accuracies(split: str, accuracies: dict[str, float]) -> list[str]:
    """Return a table of the accuracies of classes: all in order or, of more than 20, the 10 lowest, lowest first.

    Args:
        split: "val" or "test".
        accuracies: Accuracy (0 to 1) by class name; NaN for a class without images.
    """
    if len(accuracies) <= MAX_CLASSES:
        return [f"{split} accuracy by class", *(format_row(name, value) for name, value in accuracies.items())]
    scored = {name: value for name, value in accuracies.items() if not math.isnan(value)}
    ordered = sorted(scored, key=scored.__getitem__)
    worst, others = ordered[:NUM_WORST], ordered[NUM_WORST:]
    lines = [f"{split} accuracy by class, lowest first", *(format_row(name, scored[name]) for name in worst)]
    if others:
        low, high = (f"{scored[name]:.1%}" for name in (others[0], others[-1]))
        lines.append(f"  ... and {len(others):,} more classes with {low} to {high}")
    if empty := len(accuracies) - len(scored):
        lines.append(f"  ... and {empty:,} more classes without {split} images")
    return lines


def format_row(name: str, accuracy: float) -> str:
    """Return the line of a class."""
    value = f"{accuracy:6.1%}" if not math.isnan(accuracy) else "no images"
    width = min(MAX_NAME, max(14, measure(make_printable(name))))
    return f"  {fit(name, width)} {value}"
