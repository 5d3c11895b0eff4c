"""The accuracies of all classes as a table."""

import math

from classifier.callbacks.class_table import format_accuracies


def test_few_classes_are_shown_in_order_and_those_without_images_as_such():
    accuracies = {"cat": 0.5, "a\x1b[31m\u202e": 0.125, "ant": math.nan}
    assert format_accuracies("test", accuracies, ", epoch 3") == [
        "test accuracy by class, epoch 3",
        "  cat         50.0%    a?[31m?     12.5%    ant     no images",
    ]


def test_columns_are_aligned_and_fit_in_80_characters():
    accuracies = {f"{'x' * (i % 12 + 5)}{i}": i / 20 for i in range(20)}
    lines = format_accuracies("test", accuracies)[1:]
    assert [len(line) for line in lines] == [56] * 10
    assert {line.index("%") for line in lines} == {26}
    digits = dict.fromkeys("0123456789", 1.0)
    assert format_accuracies("test", digits)[1:] == [
        "  0   100.0%    1   100.0%    2   100.0%    3   100.0%    4   100.0%",
        "  5   100.0%    6   100.0%    7   100.0%    8   100.0%    9   100.0%",
    ]


def test_of_many_classes_the_lowest_are_shown_and_the_others_counted():
    accuracies = {f"class {i}": (100 - i) / 100 for i in range(100)} | dict.fromkeys("xyz", math.nan)
    lines = format_accuracies("val", accuracies)
    assert lines[0] == "val accuracy by class, lowest first"
    cells = [f"  class {i} {100 - i:5.1f}%" for i in range(99, 89, -1)]
    assert lines[1:4] == ["  ".join(cells[:4]), "  ".join(cells[4:8]), "  ".join(cells[8:])]
    assert lines[4:] == [
        "  ... and 90 more classes with 11.0% to 100.0%",
        "  ... and 3 more classes without val images",
    ]


def test_many_classes_of_which_few_have_images_are_counted_once():
    accuracies = {"a": 0.5} | {str(i): math.nan for i in range(40)}
    assert format_accuracies("test", accuracies)[1:] == [
        "  a    50.0%",
        "  ... and 40 more classes without test images",
    ]


def test_long_and_wide_names_leave_the_accuracies_in_their_column():
    names = ["cat", "猫", "x" * 40]
    lines = format_accuracies("test", dict.fromkeys(names, 0.5))[1:]
    assert lines == [f"  cat{' ' * 27}  50.0%    猫{' ' * 28}  50.0%", f"  {'x' * 29}…  50.0%"]
