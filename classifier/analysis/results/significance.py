"""The outcome of a test of two runs or groups, and the correction for several tests."""

from collections.abc import Sequence
from dataclasses import dataclass

from classifier.analysis.results.intervals import Interval

SIGNIFICANCE = 0.05  # of the corrected p value


@dataclass(frozen=True)
class Outcome:
    """The outcome of a test of two runs or groups.

    Args:
        difference: Accuracy of the second minus that of the first, from -1 to 1.
        p_value: Its p value.
        corrected_p_value: The p value corrected for the number of comparisons.
        num_comparisons: Number of comparisons it was corrected for.
        over_seeds: Whether it is Welch's test over seeds; otherwise, it is McNemar's test over images.
    """

    difference: Interval
    p_value: float
    corrected_p_value: float
    num_comparisons: int
    over_seeds: bool


def correct_p_values(p_values: Sequence[float]) -> list[float]:
    """Return p values after Holm's correction for their number (Holm, 1979)."""
    corrected, largest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def describe_correction(num_comparisons: int, what: str) -> str | None:
    """Return how many comparisons there are, of what, and how they are corrected; None if there is at most one."""
    if num_comparisons < 2:
        return None
    return (
        f"{num_comparisons} comparisons, {what}; as one of several p values can be small by chance, they are corrected "
        "by Holm's method, intervals are not"
    )
