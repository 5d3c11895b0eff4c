"""Paired counts are matched by image, and test and interval are those of scipy, of enumeration and of publications."""

import dataclasses
import math
from itertools import product

import numpy as np
import pytest
from helpers.results import make_predicted
from scipy.stats import binomtest
from scipy.stats.contingency import association

from classifier.analysis.results.paired import (
    PairedCounts,
    compute_mcnemar,
    correlate,
    count_pairs,
    describe_mismatch,
    identify_images,
    match_images,
    paired_difference,
)


def test_images_are_counted_by_which_run_is_correct():
    first = np.array([True, True, True, False, False, False])
    second = np.array([True, False, False, True, False, False])
    assert count_pairs(first, second) == PairedCounts(both=1, only_first=2, only_second=1, neither=2)
    assert count_pairs(first[:0], second[:0]) == PairedCounts(0, 0, 0, 0)


@pytest.mark.parametrize("counts", [(0, 1), (5, 0), (3, 9), (10, 10), (120, 170), (4000, 4200)])
def test_p_value_is_that_of_the_binomial_test_of_scipy(counts):
    expected = binomtest(counts[0], sum(counts)).pvalue
    assert compute_mcnemar(PairedCounts(7, *counts, 2)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("total", range(9))
def test_p_value_is_the_fraction_of_all_equally_likely_outcomes_that_are_as_extreme(total):
    imbalances = [abs(2 * sum(outcome) - total) for outcome in product([0, 1], repeat=total)]
    for number in range(total + 1):
        expected = np.mean([imbalance >= abs(2 * number - total) for imbalance in imbalances])
        assert compute_mcnemar(PairedCounts(1, number, total - number, 1)) == pytest.approx(expected)


# Cavo et al. (2012), in the tests of the R package contingencytables; table 6.2 of Altman et al. (2000), "Statistics
# with Confidence", in the documentation of the R package epiR. They subtract the second proportion from the first.
@pytest.mark.parametrize(
    ("table", "value", "low", "high", "digits"),
    [
        ((59, 6, 16, 80), -0.0621, -0.1186, -0.0046, 4),
        ((14, 5, 0, 22), 0.122, 0.011, 0.226, 3),
    ],
)
def test_interval_is_that_of_published_examples(table, value, low, high, digits):
    difference = paired_difference(PairedCounts(*table))
    found = [round(-x, digits) for x in (difference.value, difference.high, difference.low)]
    assert found == [value, low, high]


def test_correlation_is_that_of_scipy_with_correction_towards_zero_if_positive():
    for both, first, second, neither in [(3, 8, 9, 2), (30, 5, 9, 12), (8, 4, 4, 5)]:
        agreeing, total = both * neither - first * second, both + first + second + neither
        size = association(np.array([[both, first], [second, neither]]), method="cramer")
        corrected = max(agreeing - total / 2, 0) if agreeing > 0 else agreeing
        assert correlate(PairedCounts(both, first, second, neither)) == pytest.approx(size * corrected / abs(agreeing))


def test_interval_of_extreme_results_is_finite_and_contains_the_difference():
    for table in product([0, 1, 2, 50], repeat=4):
        difference = paired_difference(PairedCounts(*table))
        if sum(table) == 0:
            assert all(math.isnan(x) for x in difference)
        else:
            assert -1 <= difference.low <= difference.value <= difference.high <= 1
            assert difference.value == (table[2] - table[1]) / sum(table)


def test_images_in_another_order_with_other_class_numbers_are_matched_by_name_and_class():
    first = make_predicted([0, 1, 1, 0], [0, 1, 0, 1], 2)
    first = dataclasses.replace(first, names=("a", "b", "a", "a"))
    order = np.array([3, 0, 2, 1])
    second = first.select(order)
    second = dataclasses.replace(second, class_names=first.class_names[::-1], labels=1 - second.labels)
    rows = match_images(identify_images(first), identify_images(second))
    assert rows is not None
    assert sorted(rows.tolist()) == [0, 1, 2, 3]
    for row, other in enumerate(rows):
        assert first.names[row] == second.names[other]
        assert first.class_names[first.labels[row]] == second.class_names[second.labels[other]]


def test_other_images_are_not_matched_and_described_in_one_line():
    first = identify_images(make_predicted([0, 1, 1, 0], [0, 1, 0, 1], 2))
    second = identify_images(make_predicted([0, 1, 1], [0, 1, 1], 2))
    assert match_images(first, second) is None
    assert match_images(second, first) is None
    assert match_images(first, [*first[:3], ("#9", "class 1", 0)]) is None
    assert describe_mismatch(("a", "b"), first, second) == (
        "a and b are not compared, because they were evaluated on different images: 4 and 3, of which 2 are in common; "
        "1 have the same name but another true class"
    )
    assert describe_mismatch(("a", "b"), first, first[:2]).endswith("4 and 2, of which 2 are in common")
