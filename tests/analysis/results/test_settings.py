"""Settings in which runs differ are shown as in a YAML file."""

import pytest

from classifier.analysis.results.settings import MAX_LENGTH, MISSING, describe_value, find_differing_settings


def test_only_settings_that_differ_are_returned_with_a_dash_for_missing_ones():
    runs = [
        {"model": "MLP", "model.lr": 0.1, "data": "Digits", "model.mean": None},
        {"model": "CNN", "model.lr": 0.1, "data": "Digits", "model.channels": [1, 2]},
        {"model": "CNN", "model.lr": 0.1, "data": "Digits", "model.channels": None},
    ]
    assert find_differing_settings(runs) == {
        "model": ["MLP", "CNN", "CNN"],
        "model.channels": [MISSING, "[1, 2]", "null"],
    }


def test_a_single_run_and_equal_runs_differ_in_nothing():
    assert find_differing_settings([{"a": float("nan"), "b": (1, 2)}]) == {}
    assert find_differing_settings([{"a": float("nan"), "b": (1, 2)}, {"a": float("nan"), "b": [1, 2]}]) == {}
    assert find_differing_settings([]) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (1, "1"),
        ("1", "'1'"),
        (True, "true"),
        (None, "null"),
        ("none", "none"),
        ("é", "é"),
        ({"a": (1, {"b": 2})}, "{a: [1, {b: 2}]}"),
        ("a\nb", "'a b'"),
        ("\u202e", "?"),
        (object, "<class 'object'>"),
    ],
)
def test_values_are_written_as_one_printable_line_of_yaml(value, text):
    assert describe_value(value) == text


def test_long_values_are_cut_to_where_they_differ():
    common = "x" * 200
    shown = find_differing_settings([{"a": common + "1" + common}, {"a": common + "2" + common}, {"a": "short"}])
    assert all(len(text) <= MAX_LENGTH for text in shown["a"])
    pair = find_differing_settings([{"a": common + "1" + common}, {"a": common + "2" + common}])["a"]
    assert pair[0] != pair[1]
    assert all(len(text) == MAX_LENGTH and text[0] == text[-1] == "…" for text in pair)
    ends = find_differing_settings([{"a": common + "1"}, {"a": common + "2"}])["a"]
    assert [text[-2:] for text in ends] == ["x1", "x2"]
