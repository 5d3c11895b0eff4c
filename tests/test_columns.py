"""Texts in columns of a terminal."""

import io

import pytest

from classifier.columns import fit, measure


@pytest.mark.parametrize(
    ("text", "cells"), [("cat", 3), ("猫", 2), ("e\u0301", 1), ("é", 1), ("👩", 2), ("", 0), ("ที่", 1), ("❤\ufe0f", 1)]
)
def test_width_is_counted_in_cells_of_the_terminal(text, cells):
    assert measure(text) == cells


@pytest.mark.parametrize(
    ("text", "keep_end", "expected"),
    [
        ("cat", False, "cat   "),
        ("golden retriever", False, "golde…"),
        ("photos/1.png", True, "…1.png"),
        ("猫猫猫猫", False, "猫猫… "),
        ("a\x1b[2Jbcd", False, "a?[2J…"),
    ],
)
def test_text_is_padded_or_cut_to_the_width_and_masked(text, keep_end, expected):
    assert fit(text, 6, keep_end) == expected
    assert measure(fit(text, 6, keep_end)) == 6


def test_cut_text_is_marked_by_dots_where_the_terminal_lacks_the_ellipsis(monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert fit("golden retriever", 8) == "golde..."
