import math

import pytest

from classifier.analysis.results.intervals import Interval
from classifier.pages.wording import (
    count_things,
    format_loss,
    format_loss_interval,
    format_p_value,
    format_percent,
    format_percent_interval,
    format_points,
    format_points_interval,
    format_sort_key,
    shorten,
)

DASH = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("fraction", "digits", "text"),
    [
        (0.94, 1, "94.0%"),
        (0.81344, 2, "81.34%"),
        (0.0, 1, "0.0%"),
        (1.0, 1, "100.0%"),
        (9999 / 10000, 1, ">99.9%"),
        (9999 / 10000, 2, "99.99%"),
        (1 / 10000, 1, "<0.1%"),
        (0.0006, 1, "0.1%"),
        (0.9994, 1, "99.9%"),
        (math.nan, 1, DASH),
        (None, 1, DASH),
    ],
)
def test_only_exact_limits_are_shown_as_0_and_100_percent(fraction, digits, text):
    assert format_percent(fraction, digits) == text


def test_intervals_with_undefined_ends_are_dashes():
    undefined = Interval(0.5, math.nan, math.nan)
    for function in (format_percent_interval, format_points_interval, format_loss_interval):
        assert function(undefined) == DASH


def test_intervals_have_the_digits_of_their_value():
    assert format_percent_interval(Interval(0.5, 0.4, 0.6)) == "40.0% to 60.0%"
    assert format_percent_interval(Interval(0.5, 0.40126, 0.6), 2) == "40.13% to 60.00%"
    assert format_points_interval(Interval(0.013, -0.0072, 0.019)) == "\N{MINUS SIGN}0.7 to +1.9"
    assert format_loss_interval(Interval(0.37, 0.3625, 0.381)) == "0.362 to 0.381"


@pytest.mark.parametrize(
    ("difference", "text"), [(0.013, "+1.3"), (-0.013, "\N{MINUS SIGN}1.3"), (-0.0001, "0.0"), (math.nan, DASH)]
)
def test_difference_has_a_sign_unless_it_is_rounded_to_0(difference, text):
    assert format_points(difference) == text


def test_other_numbers():
    assert format_p_value(0.0324) == "0.032"
    assert format_p_value(0.0004) == "<0.001"
    assert format_p_value(math.nan) == DASH
    assert (count_things(1, "class", "classes"), count_things(1200, "image")) == ("1 class", "1,200 images")


def test_undefined_values_have_an_empty_sort_key():
    assert [format_sort_key(value) for value in (0.25, 3, math.nan, None)] == ["0.25", "3", "", ""]


def test_infinite_loss_is_shown_as_such():
    assert [format_loss(value) for value in (0.12345, math.inf, math.nan)] == ["0.123", "\N{INFINITY}", DASH]


def test_long_names_keep_their_beginning_and_end():
    assert shorten("a" * 80) == "a" * 80
    assert shorten("a" * 50 + "b" * 50) == "a" * 40 + "…" + "b" * 39
