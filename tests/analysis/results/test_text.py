"""The short form of a report."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.reports import make_random, make_run
from helpers.results import make_predicted

from classifier.analysis.results.contents import Report, describe_run, make_report
from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.intervals import UNDEFINED
from classifier.analysis.results.text import MAX_RUNS, MAX_VERDICTS, format_interval, format_loss, to_text

SCREEN = 24  # lines of a terminal; some are taken by the command and the checkpoints


def make_results(probabilities: list[list[float]], labels: list[int], names: tuple[str, ...]) -> ImageResults:
    """Return results of images with given probabilities."""
    table, true = np.array(probabilities, dtype=np.float32), np.array(labels)
    losses = -np.log(table[np.arange(len(true)), true].astype(np.float64))
    images = tuple(f"{number}.png" for number in range(len(true)))
    return ImageResults(names, images, np.arange(len(true)), true, table.argmax(axis=1), losses, table)


def test_short_form_of_a_run_has_the_main_numbers():
    results = make_results(
        [[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0, 1, 0], [0.5, 0, 0.5], [0, 0, 1]],
        [0, 0, 1, 2, 2],
        ("ant", "b\x1bee", "cat"),
    )
    results = replace(results, trained=np.array([True, False, False, False, False]))
    assert to_text(make_report([make_run(results)])).splitlines() == [
        "version_0: CNN on CIFAR10, 5 test images",
        "  accuracy           60.00% (95%: 23.07% to 88.24%)",
        "  loss               0.5545 (0.0000 to 1.2746)",
        "  balanced accuracy  66.67%",
        "  macro F1           61.11%",
        "  new images only    50.00% (15.00% to 85.00%), without 1 image of the training set",
        "  lowest recall      ant 50.0%, cat 50.0%, b?ee 100.0%",
        "  most confused      ant predicted as b?ee: 1 image",
        "  calibration error  10.00%",
        "  doubtful labels    none",
    ]


def test_temperature_of_the_validation_images_is_shown():
    probabilities = [[0.9, 0.1]] * 3 + [[0.9, 0.1]] * 1
    results = make_results(probabilities, [0, 0, 0, 1], ("a", "b"))
    line = next(
        line for line in to_text(make_report([make_run(results, validation=results)])).splitlines() if "calib" in line
    )
    # The accuracy is 75%, and log(0.9 / 0.1) / log(0.75 / 0.25) = 2.
    assert line == "  calibration error  15.00%, and 0.00% with a temperature of 2.00, fitted to the validation images"


def test_more_runs_and_comparisons_than_fit_are_counted():
    item = describe_run(make_run(make_random(40, 3)))
    few = make_report([make_run(make_random(40, 3), f"version_{number}") for number in range(2)])
    report = Report([item] * (MAX_RUNS + 2), {}, [], few.comparisons * (MAX_VERDICTS + 1), "other images", "corrected")
    lines = to_text(report).splitlines()
    assert len(lines) <= SCREEN + 2
    assert "and 2 more runs" in lines
    assert "and 1 more comparison" in lines
    assert "other images" in lines
    assert lines[-1] == "(corrected)"
    assert lines.count(few.comparisons[0].verdict) == MAX_VERDICTS


@pytest.mark.parametrize("format_value", [format_interval, format_loss])
def test_what_is_undefined_is_not_shown_as_a_number(format_value):
    assert format_value(UNDEFINED) == "undefined"


@pytest.mark.parametrize(
    ("num_errors", "expected"),
    [
        (5, "2 images whose label may be wrong, first #3"),
        (6, "2 images whose label may be wrong, or which the network misclassifies, first #3"),
    ],
)
def test_doubtful_labels_of_a_network_with_many_errors_are_called_into_question(num_errors, expected):
    results = make_predicted([int(number < num_errors) for number in range(20)], [0] * 20, 2)
    report = replace(describe_run(make_run(results)), doubtful_labels=np.array([3, 1]))
    line = to_text(Report([report], {}, [], [], None)).splitlines()[-1]
    assert line == f"  doubtful labels    {expected}"
