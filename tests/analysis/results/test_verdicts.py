"""A verdict is one sentence that agrees with the test and with the numbers that it shows."""

import pytest

from classifier.analysis.results.intervals import Interval
from classifier.analysis.results.paired import PairedCounts, compute_mcnemar, paired_difference
from classifier.analysis.results.significance import Outcome, correct_p_values
from classifier.analysis.results.verdicts import describe_outcome, describe_points, format_p_value

NAMES = ("A", "B")
COUNTS = PairedCounts(8000, 100, 230, 1670)


def describe(table, corrected=None, num_comparisons=1, same_predictions=False):
    """Return the verdict on two runs with given counts."""
    counts = PairedCounts(*table)
    p_value = compute_mcnemar(counts)
    outcome = Outcome(
        paired_difference(counts), p_value, p_value if corrected is None else corrected, num_comparisons, False
    )
    return describe_outcome(NAMES, outcome, counts, same_predictions)


def describe_seeds(difference, p_value, corrected=None, num_comparisons=1):
    """Return the verdict on two groups of runs."""
    outcome = Outcome(
        Interval(*difference), p_value, p_value if corrected is None else corrected, num_comparisons, True
    )
    return describe_outcome(NAMES, outcome, COUNTS, False)


def test_better_run_is_named_first_with_a_positive_difference():
    assert describe((8000, 100, 230, 1670)) == "B is better than A by 1.3 points (95%: 0.9 to 1.7)."
    assert describe((8000, 230, 100, 1670)) == "A is better than B by 1.3 points (95%: 0.9 to 1.7)."


def test_difference_within_chance_names_the_run_that_it_favours():
    expected = "The difference between A and B, 0.2 points in favour of A (95%: -0.1 to 0.6), is within chance."
    assert describe((8000, 170, 147, 1683)) == expected


def test_correction_is_named_where_several_comparisons_were_made():
    assert describe((8000, 100, 230, 1670), 0.0123, 3) == (
        "B is better than A by 1.3 points (95%: 0.9 to 1.7; p = 0.012 after correction for 3 comparisons)."
    )
    assert describe((8000, 120, 160, 1720), 0.0501, 3) == (
        "The difference between A and B, 0.4 points in favour of B (95%: 0.1 to 0.7; p = 0.0501 after correction for 3 "
        "comparisons), is within chance among 3 comparisons, although it would be significant on its own."
    )


def test_disagreement_of_interval_and_test_is_explained():
    assert describe((8000, 100, 129, 1771)) == (
        "The difference between A and B, 0.29 points in favour of B (95%: -0.01 to 0.59), is within chance."
    )
    excluded = describe((80, 0, 6, 14), 0.0312)
    assert excluded == "B is better than A by 6.0 points (95%: 0.8 to 11.8)."
    counts = PairedCounts(800, 100, 129, 771)
    limit = Outcome(Interval(0.016, 0.001, 0.031), 0.062, 0.062, 1, False)
    assert describe_outcome(NAMES, limit, counts, False) == (
        "The difference between A and B, 1.6 points in favour of B (95%: 0.1 to 3.1), is at the limit of chance: the p "
        "value of McNemar's exact test is 0.062."
    )
    limit = Outcome(Interval(0.016, -0.001, 0.033), 0.049, 0.049, 1, False)
    assert describe_outcome(NAMES, limit, counts, False) == (
        "B is better than A by 1.6 points (95%: -0.1 to 3.3), although the interval includes 0."
    )


def test_few_images_do_not_show_a_difference():
    assert describe((90, 0, 5, 5)) == (
        "The difference between A and B, 5.0 points in favour of B (95%: 0.1 to 11.1), is within chance: only 5 of 100 "
        "images are classified correctly by just one of them, and at least 6 are needed."
    )
    assert describe((1, 1, 0, 0)).endswith(
        "within chance: only 1 of 2 images is classified correctly by just one of them, and at least 6 are needed."
    )
    assert describe((0, 0, 1, 0)).endswith("within chance: there is only one image.")
    assert describe((0, 0, 0, 0)) == "There are no images on which A and B could be compared."


def test_equal_runs_are_told_apart_from_equally_accurate_ones():
    assert describe((9, 0, 0, 1), same_predictions=True) == "A and B predict the same class for all 10 images."
    assert describe((1, 0, 0, 0), same_predictions=True) == "A and B predict the same class for the only image."
    assert describe((9, 0, 0, 1)) == (
        "A and B are equally accurate: both classify the same 9 of 10 images correctly, and differ only in their "
        "errors."
    )
    assert describe((900, 20, 20, 60)) == (
        "A and B are equally accurate (95%: -1.3 to 1.3 points): each classifies 20 of 1,000 images correctly that the "
        "other does not."
    )


def test_verdict_over_seeds_is_about_the_mean():
    assert describe_seeds((0.013, 0.007, 0.019), 0.001) == (
        "B is better than A by 1.3 points on average (95%: 0.7 to 1.9)."
    )
    assert describe_seeds((-0.013, -0.03, 0.004), 0.1) == (
        "The difference between A and B, 1.3 points on average in favour of A (95%: -0.4 to 3.0), is within chance."
    )
    assert describe_seeds((0.0, -0.004, 0.004), 1.0) == (
        "A and B are equally accurate on average (95%: -0.4 to 0.4 points)."
    )


@pytest.mark.parametrize(
    ("difference", "num_images", "expected"),
    [
        ((0.0132, 0.0071, 0.0188), 10_000, ("1.3 points", "0.7 to 1.9")),
        ((0.0004, -0.0011, 0.002), 10_000, ("0.04 points", "-0.11 to 0.20")),
        ((0.3, -0.05, 0.61), 20, ("30 points", "-5 to 61")),
        ((0.01, -0.05, 0.07), 99, ("1 point", "-5 to 7")),
        ((0.01, 0.0, 0.02), 10_000, ("1.0 points", "0.0 to 2.0")),
        ((1.0, 1.0, 1.0), 100, ("100.0 points", "100.0 to 100.0")),
        ((0.0, -0.02, 0.02), 200, ("0.0 points", "-2.0 to 2.0")),
    ],
)
def test_points_have_as_many_decimals_as_it_takes_to_differ_from_zero(difference, num_images, expected):
    assert describe_points(Interval(*difference), num_images) == expected


def test_p_values_are_not_rounded_across_the_limit_of_significance():
    p_values = [0.05, 0.0501, 0.050000001, 0.04999, 0.012345, 0.5, 1.0, 0.999999, 0.0002, 1e-5, 0.0]
    expected = ["0.050", "0.0501", "0.050000001", "0.050", "0.012", "0.50", "1.0", "1.00", "0.00020"]
    assert [format_p_value(p) for p in p_values] == [*expected, "less than 0.0001", "less than 0.0001"]
    assert [format_p_value(p, "p") for p in (0.012345, 0.0)] == ["p = 0.012", "p < 0.0001"]


def test_holms_correction_is_that_of_its_definition():
    assert correct_p_values([]) == []
    assert correct_p_values([0.04]) == [0.04]
    assert correct_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert correct_p_values([0.5, 0.5, 0.001]) == pytest.approx([1.0, 1.0, 0.003])
