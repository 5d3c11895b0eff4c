"""Comparisons of the runs of a report, paired by image or over seeds, and corrected for their number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.intervals import Interval
from classifier.analysis.results.metrics import sort_by_loss
from classifier.analysis.results.paired import (
    compute_mcnemar,
    count_pairs,
    describe_mismatch,
    identify_images,
    match_images,
    paired_difference,
)
from classifier.analysis.results.seed_groups import (
    SeedGroup,
    can_test_seeds,
    compute_welch,
    describe_group,
    find_seed_groups,
)
from classifier.analysis.results.significance import Outcome, correct_p_values, describe_correction
from classifier.analysis.results.verdicts import describe_outcome

MAX_FOR_ALL_PAIRS = 6  # runs or groups; 15 comparisons
MAX_EXAMPLES = 8


class ExampleRows(NamedTuple):
    """Row numbers of an image in the results of the first and of the second run of a pair."""

    first: int
    second: int


@dataclass(frozen=True)
class ClassDifference:
    """The comparison of two runs on the images of one class; see `Comparison`."""

    name: str
    num_images: int
    only_first: int
    only_second: int
    difference: Interval


@dataclass(frozen=True)
class Comparison:
    """A comparison of two runs, or groups of runs over seeds.

    Args:
        first: Name of the first run or group.
        second: Name of the second run or group.
        pair: Positions in the report of the two runs whose images are compared: the only ones, or those of both groups
            with the same seed, or the first of each.
        only_first: Number of images that only the first run of the pair classifies correctly.
        only_second: Number of images that only the second run of the pair classifies correctly.
        both: Number of images that both runs of the pair classify correctly.
        neither: Number of images that neither run of the pair classifies correctly.
        difference: Accuracy of the second minus that of the first, from -1 to 1. The interval is not corrected.
        p_value: P value of McNemar's exact test, or of Welch's t-test over seeds.
        corrected_p_value: P value after Holm's correction for all comparisons of the report.
        over_seeds: Whether `difference` and `p_value` are those over seeds.
        classes: The pair on the images of each class.
        examples_first: At most 8 images that only the first run classifies correctly, highest loss of the second first.
        examples_second: At most 8 images that only the second run classifies correctly, likewise.
        verdict: What follows, in one sentence.
    """

    first: str
    second: str
    pair: tuple[int, int]
    only_first: int
    only_second: int
    both: int
    neither: int
    difference: Interval
    p_value: float
    corrected_p_value: float
    over_seeds: bool
    classes: list[ClassDifference]
    examples_first: tuple[ExampleRows, ...]
    examples_second: tuple[ExampleRows, ...]
    verdict: str


@dataclass(frozen=True)
class RunComparisons:
    """All comparisons of a report.

    Args:
        groups: Groups of runs that differ only in their seeds, at least two runs each.
        comparisons: Comparisons of the groups and the other runs.
        correction: How many comparisons there are, of what, and how they are corrected; None if there is at most one.
        problem: Why runs are not compared, in one line, or None if all are.
    """

    groups: list[SeedGroup]
    comparisons: list[Comparison]
    correction: str | None
    problem: str | None


def compare_runs(
    names: Sequence[str], settings: Sequence[Mapping[str, Any]], results: Sequence[ImageResults]
) -> RunComparisons:
    """Compare all pairs of up to 6 runs or groups, and otherwise each with the first.

    Two runs that differ only in their seed are compared as well if there are no others.

    Args:
        names: Names of the runs.
        settings: Their settings, including "model", "data" and "seed_everything".
        results: Their results.
    """
    images = [identify_images(result) for result in results]
    groups = find_seed_groups(names, settings, results, images)
    sides = groups
    if len(names) == 2:
        sides = [describe_group([run], names, settings, results) for run in range(2)]
    is_complete = len(sides) <= MAX_FOR_ALL_PAIRS
    chosen = list(combinations(sides, 2)) if is_complete else [(sides[0], side) for side in sides[1:]]
    pairs, problems = [], []
    for first, second in chosen:
        runs = choose_pair(first, second)
        rows = match_images(images[runs[0]], images[runs[1]])
        if rows is None:
            problems.append(describe_mismatch((names[runs[0]], names[runs[1]]), images[runs[0]], images[runs[1]]))
        else:
            pairs.append(Pair((first, second), runs, (results[runs[0]], results[runs[1]]), rows))
    outcomes = [pair.compute() for pair in pairs]
    corrected = correct_p_values([p_value for _, p_value in outcomes])
    tests = [
        Outcome(difference, p_value, corrected_p_value, len(pairs), can_test_seeds(*pair.sides))
        for pair, (difference, p_value), corrected_p_value in zip(pairs, outcomes, corrected, strict=True)
    ]
    correction = describe_correction(len(pairs), "of every two" if is_complete else f"each with {sides[0].name}")
    more = f" (and {len(problems) - 1} more pair{'s' * (len(problems) > 2)})" if len(problems) > 1 else ""
    return RunComparisons(
        [group for group in groups if len(group.runs) > 1],
        [describe_comparison(pair, test, names) for pair, test in zip(pairs, tests, strict=True)],
        correction,
        problems[0] + more if problems else None,
    )


@dataclass(frozen=True)
class Pair:
    """Two sides, and the results of a run of each on the same images.

    Args:
        sides: Groups or single runs.
        runs: Positions in the report of the two runs.
        results: Their results.
        rows: Row number in the results of the second run for every image of the first, int64 (N,).
    """

    sides: tuple[SeedGroup, SeedGroup]
    runs: tuple[int, int]
    results: tuple[ImageResults, ImageResults]
    rows: np.ndarray

    def mark_correct(self) -> tuple[np.ndarray, np.ndarray]:
        """Return which images each run classifies correctly, two bool masks (N,) in the order of the first run."""
        return self.results[0].correct, self.results[1].correct[self.rows]

    def compute(self) -> tuple[Interval, float]:
        """Return the difference of the accuracies, and the p value of the test that applies."""
        if can_test_seeds(*self.sides):
            return compute_welch(*self.sides)
        counts = count_pairs(*self.mark_correct())
        return paired_difference(counts), compute_mcnemar(counts)

    def find_examples(self, right: int) -> tuple[ExampleRows, ...]:
        """Return images that only one of the runs classifies correctly, 0 or 1, highest loss of the other first."""
        correct = self.mark_correct()
        only = np.flatnonzero(correct[right] & ~correct[1 - right])
        if right == 1:
            firsts = sort_by_loss(self.results[0], only)[:MAX_EXAMPLES]
        else:
            firsts = np.argsort(self.rows)[sort_by_loss(self.results[1], self.rows[only])[:MAX_EXAMPLES]]
        return tuple(ExampleRows(row, int(self.rows[row])) for row in firsts.tolist())

    def compare_classes(self) -> list[ClassDifference]:
        """Return the comparison on the images of each class, in the order of the labels of the first run."""
        first, second = self.mark_correct()
        differences = []
        for label, name in enumerate(self.results[0].class_names):
            rows = np.flatnonzero(self.results[0].labels == label)
            counts = count_pairs(first[rows], second[rows])
            difference = paired_difference(counts)
            differences.append(
                ClassDifference(name, counts.num_images, counts.only_first, counts.only_second, difference)
            )
        return differences

    def has_same_predictions(self) -> bool:
        """Return whether both runs predict a class of the same name for every image."""
        first, second = (np.array(result.class_names, dtype=object)[result.predictions] for result in self.results)
        return bool(np.array_equal(first, second[self.rows]))


def choose_pair(first: SeedGroup, second: SeedGroup) -> tuple[int, int]:
    """Return the first two runs of two groups that have the same seed, or the first run of each."""
    for run, seed in zip(first.runs, first.seeds, strict=True):
        if seed is not None and seed in second.seeds:
            return run, second.runs[second.seeds.index(seed)]
    return first.runs[0], second.runs[0]


def describe_comparison(pair: Pair, outcome: Outcome, names: Sequence[str]) -> Comparison:
    """Return the comparison of two runs or groups with its verdict."""
    counts = count_pairs(*pair.mark_correct())
    first, second = (
        side.name if outcome.over_seeds else name_run(side, run, names[run], pair.sides)
        for side, run in zip(pair.sides, pair.runs, strict=True)
    )
    return Comparison(
        first=pair.sides[0].name,
        second=pair.sides[1].name,
        pair=pair.runs,
        only_first=counts.only_first,
        only_second=counts.only_second,
        both=counts.both,
        neither=counts.neither,
        difference=outcome.difference,
        p_value=outcome.p_value,
        corrected_p_value=outcome.corrected_p_value,
        over_seeds=outcome.over_seeds,
        classes=pair.compare_classes(),
        examples_first=pair.find_examples(0),
        examples_second=pair.find_examples(1),
        verdict=describe_outcome((first, second), outcome, counts, pair.has_same_predictions()),
    )


def name_run(side: SeedGroup, run: int, name: str, sides: tuple[SeedGroup, SeedGroup]) -> str:
    """Return what a verdict calls a run that is compared on behalf of a group: its name and seed."""
    seed = side.seeds[side.runs.index(run)]
    is_named = seed is None or name.endswith(f"_seed{seed}")  # as those of --seeds are
    return f"{name} with seed {seed}" if any(len(other.runs) > 1 for other in sides) and not is_named else name
