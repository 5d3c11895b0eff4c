"""Fuzzer of comparisons: random results of random groups of runs, with known invariants.

    python tests/fuzz/comparisons.py --count 2000 --seed 0

The runs have the same images in random orders, and their classes random numbers. Checked are counts, differences and p
values against their definitions, exchanged runs, Holm's correction, and that no verdict contradicts its numbers.
"""

import dataclasses
import math
import re
import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `python tests/fuzz/comparisons.py`
from helpers.fuzzing import run_fuzzer
from helpers.results import make_predicted

from classifier.analysis.results.comparison import Comparison, RunComparisons, compare_runs
from classifier.analysis.results.image_results import ImageResults

SIZES = (0, 1, 2, 5, 20, 99, 100, 1000)


def make_runs(random: np.random.Generator) -> tuple[list[dict], list[ImageResults]]:
    """Return settings and results of up to 9 runs with up to 4 seeds per setting, on the same images."""
    size, num_classes = int(random.choice(SIZES)), int(random.integers(2, 6))
    num_settings = int(random.choice([1, 2, 2, 4, 9]))
    labels = random.integers(0, num_classes, size)
    guesses = random.integers(0, num_classes, size)
    settings, runs = [], []
    for _ in range(random.integers(1, 10)):
        setting = int(random.integers(0, num_settings))
        settings.append({"model.lr": setting, "seed_everything": int(random.integers(0, 4))})
        quality = random.choice([0.0, 0.5, 0.9, 0.97, 1.0]) if random.random() < 0.5 else 0.9 + setting / 40
        right = random.random(size) < quality
        results = make_predicted(np.where(right, labels, guesses).tolist(), labels.tolist(), num_classes)
        runs.append(shuffle(results, random) if random.random() < 0.5 else results)
    return settings, runs


def shuffle(results: ImageResults, random: np.random.Generator) -> ImageResults:
    """Return results with another order of images, and other numbers of the classes."""
    results = results.select(random.permutation(len(results)))
    numbers = random.permutation(len(results.class_names))
    old = np.argsort(numbers)
    return dataclasses.replace(
        results,
        class_names=tuple(results.class_names[label] for label in old),
        labels=numbers[results.labels],
        predictions=numbers[results.predictions],
        probabilities=results.probabilities[:, old],
    )


def check_counts(comparison: Comparison, runs: list[ImageResults]) -> bool:
    """Return whether the counts of a comparison are those of its runs, as found by name."""
    first, second = (
        dict(zip(run.names, run.correct.tolist(), strict=True)) for run in (runs[index] for index in comparison.pair)
    )
    found = Counter((first[name], second[name]) for name in first)
    cells = (comparison.both, comparison.only_first, comparison.only_second, comparison.neither)
    expected = tuple(found[cell] for cell in ((True, True), (True, False), (False, True), (False, False)))
    columns = [sum(getattr(row, field) for row in comparison.classes) for field in ("only_first", "only_second")]
    return cells == expected and columns == [comparison.only_first, comparison.only_second]


def check_numbers(comparison: Comparison) -> bool:
    """Return whether p values are probabilities, and the interval contains the difference of its counts."""
    value, low, high = comparison.difference
    total = comparison.both + comparison.only_first + comparison.only_second + comparison.neither
    if total == 0:
        return math.isnan(value) and comparison.p_value == 1
    if not comparison.over_seeds and value != (comparison.only_second - comparison.only_first) / total:
        return False
    return low <= value <= high and 0 <= comparison.p_value <= comparison.corrected_p_value <= 1


def check_verdict(comparison: Comparison) -> bool:
    """Return whether a verdict agrees with the p value, and its numbers with each other."""
    verdict, difference = comparison.verdict, comparison.difference
    if (" is better than " in verdict) != (comparison.corrected_p_value <= 0.05 and difference.value != 0):
        return False
    if not verdict.endswith(".") or not verdict.isprintable():
        return False
    found = re.search(r"(?:by|,) ([0-9.]+) points?.*\(95%: (-?[0-9.]+) to (-?[0-9.]+)[;)]", verdict)
    if found is None:
        return "equally accurate" in verdict or "same class" in verdict or "no images" in verdict
    value, low, high = map(float, found.groups())
    oriented = difference.low if difference.value > 0 else -difference.high
    return value > 0 and low <= value <= high and (low > 0) == (oriented > 1e-11)


def check_correction(comparisons: list[Comparison]) -> bool:
    """Return whether Holm's correction keeps the order of the p values, and is Bonferroni's for the smallest."""
    ordered = sorted(comparisons, key=lambda comparison: (comparison.p_value, comparison.corrected_p_value))
    corrected = [comparison.corrected_p_value for comparison in ordered]
    first = min(1.0, len(ordered) * ordered[0].p_value) if ordered else None
    return corrected == sorted(corrected) and (not ordered or corrected[0] == first)


def check_exchange(found: RunComparisons, settings: list[dict], runs: list[ImageResults]) -> bool:
    """Return whether two runs in the opposite order have the opposite difference and the same p value."""
    if len(runs) != 2:
        return True
    one, other = found.comparisons[0], compare_runs(["b", "a"], settings[::-1], runs[::-1]).comparisons[0]
    if (one.only_first, one.only_second, one.p_value) != (other.only_second, other.only_first, other.p_value):
        return False
    pairs = zip(one.difference, (other.difference[0], *other.difference[:0:-1]), strict=True)
    return all(math.isnan(x) or math.isclose(x, -y, abs_tol=1e-12) for x, y in pairs)


def find_fault(found: RunComparisons, settings: list[dict], runs: list[ImageResults]) -> str | None:
    """Return which invariant the comparisons of runs break, or None."""
    if sum(len(group.runs) for group in found.groups) > len(runs) or found.problem:
        return f"groups {found.groups}, problem {found.problem}"
    for comparison in found.comparisons:
        if not check_counts(comparison, runs):
            return f"counts: {comparison}"
        if not check_numbers(comparison):
            return f"numbers: {comparison}"
        if not check_verdict(comparison):
            return f"verdict: {comparison}"
    if not check_correction(found.comparisons):
        return f"correction: {[(x.p_value, x.corrected_p_value) for x in found.comparisons]}"
    return None if check_exchange(found, settings, runs) else f"exchange: {found.comparisons}"


def fuzz(count: int, seed: int, first: int = 0) -> tuple[Counter, list[str]]:
    """Compare random runs.

    Args:
        count: Number of cases.
        seed: Seed of the cases.
        first: Number of the first case.

    Returns:
        The number of comparisons by kind, and one description per fault.
    """
    tried, faults = Counter(), []
    for number in range(first, first + count):
        settings, runs = make_runs(np.random.default_rng([seed, number]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = compare_runs([f"v{index}" for index in range(len(runs))], settings, runs)
                fault = find_fault(found, settings, runs)
            tried.update("over seeds" if comparison.over_seeds else "by image" for comparison in found.comparisons)
        except Exception:
            fault = traceback.format_exc(limit=-3)
        if fault:
            faults.append(f"case {number}: {fault}")
    return tried, faults


if __name__ == "__main__":
    run_fuzzer(__doc__, fuzz, 2000, unit="comparisons")
