"""Confidence intervals agree with scipy's, and have the stated coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from classifier.analysis.results.intervals import Interval, mean_interval, wilson


@pytest.mark.parametrize("total", [1, 2, 3, 10, 97, 10_000])
def test_interval_of_a_proportion_is_that_of_scipy(total):
    for successes in sorted({0, 1, total // 3, total // 2, total - 1, total}):
        expected = stats.binomtest(successes, total).proportion_ci(0.95, method="wilson")
        interval = wilson(successes, total)
        assert interval == pytest.approx((successes / total, expected.low, expected.high), abs=1e-12)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_interval_of_a_proportion_is_that_of_a_published_example():
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (successes, total), ends in published.items():
        assert wilson(successes, total)[1:] == pytest.approx(ends, abs=5e-5)


def test_ends_of_the_interval_are_exact_if_all_or_none_are_successes():
    for total in range(1, 200):
        assert wilson(0, total).low == 0
        assert wilson(total, total).high == 1


def test_proportion_of_nothing_is_undefined():
    assert all(math.isnan(value) for value in wilson(0, 0))


@pytest.mark.parametrize("size", [2, 3, 50, 1000])
def test_interval_of_a_mean_is_that_of_scipy(size):
    values = np.random.default_rng(size).exponential(size=size)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean_interval(values) == pytest.approx((values.mean(), expected.low, expected.high), rel=1e-12)


def test_interval_of_equal_values_has_no_width():
    assert mean_interval(np.full(5, 0.5)) == Interval(0.5, 0.5, 0.5)


def test_interval_of_one_value_has_no_ends():
    value, low, high = mean_interval(np.array([0.25]))
    assert value == 0.25
    assert math.isnan(low)
    assert math.isnan(high)


def test_mean_of_nothing_is_undefined():
    assert all(math.isnan(value) for value in mean_interval(np.empty(0)))


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([1, math.inf], math.inf),
        ([1, math.nan], math.nan),
        ([math.inf, -math.inf], math.nan),
        ([1, 2, math.inf], math.inf),
    ],
)
def test_interval_of_values_that_are_not_finite_has_no_ends(values, mean):
    value, low, high = mean_interval(np.array(values))
    assert value == pytest.approx(mean, nan_ok=True)
    assert math.isnan(low)
    assert math.isnan(high)


def test_values_whose_variance_overflows_cause_no_warning():
    assert mean_interval(np.array([0.0, 1e300])) == (5e299, -math.inf, math.inf)


def test_integers_are_averaged_as_numbers():
    assert mean_interval(np.array([1, 2])).value == 1.5
