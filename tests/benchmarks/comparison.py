"""Run variants alternately and compare what they take."""

import contextlib
import io
import statistics
from collections.abc import Callable, Hashable
from typing import Any


def run_alternately(
    variants: dict[Hashable, Callable[[int], Any]], rounds: int, warm_up: bool = True
) -> dict[Hashable, list[Any]]:
    """Run all variants in every round, so that a machine whose speed drifts slows all of them down alike.

    Args:
        variants: Functions by name. Each takes the index of the round and returns its measurements; what it prints is
            discarded.
        rounds: Number of rounds.
        warm_up: Whether to run every variant once beforehand without keeping the result.

    Returns:
        The measurements of each variant, one per round.
    """
    results: dict[Hashable, list[Any]] = {name: [] for name in variants}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if warm_up:
            for variant in variants.values():
                variant(0)
        for number in range(rounds):
            for name, variant in variants.items():
                results[name].append(variant(number))
    return results


def get_median(results: dict[Hashable, list[Any]], name: Hashable, field: str) -> float:
    """Return the median over the rounds of one measurement of a variant."""
    return statistics.median(getattr(result, field) for result in results[name])


def list_ratios(results: dict[Hashable, list[Any]], name: Hashable, reference: Hashable, field: str) -> list[float]:
    """Return the ratio of one measurement of two variants in every round."""
    pairs = zip(results[name], results[reference], strict=True)
    return [getattr(result, field) / getattr(base, field) for result, base in pairs]


def get_median_ratio(results: dict[Hashable, list[Any]], name: Hashable, reference: Hashable, field: str) -> float:
    """Return the median over the rounds of the ratio of one measurement of two variants."""
    return statistics.median(list_ratios(results, name, reference, field))
