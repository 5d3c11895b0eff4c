"""Calibration errors are those of torchmetrics, and the temperature that was applied is found again."""

import math

import numpy as np
import pytest
import torch
from helpers.results import make_random, make_results
from torchmetrics.functional.classification import multiclass_calibration_error

from classifier.analysis.results.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    accuracy_by_coverage,
    apply_temperature,
    fit_temperature,
    measure_calibration,
)


def measure_with_torchmetrics(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return torchmetrics' expected calibration error."""
    table, targets = torch.from_numpy(probabilities), torch.from_numpy(labels)
    return float(multiclass_calibration_error(table, targets, probabilities.shape[1], n_bins=15, validate_args=False))


def compute_loss(probabilities: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Return the mean cross-entropy of the logits divided by a temperature, in float64."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny)) / temperature
    own = logits[np.arange(len(labels)), labels]
    return float((np.log(np.exp(logits).sum(axis=1)) - own).mean())


@pytest.mark.parametrize(("num_images", "num_classes"), [(1, 2), (2, 2), (100, 3), (3000, 10), (500, 1000)])
def test_calibration_error_is_that_of_torchmetrics(num_images, num_classes):
    results = make_random(num_images, num_classes)
    for temperature in (0.5, 1, 3):
        probabilities = apply_temperature(results.probabilities, temperature)
        error = measure_calibration(probabilities, results.labels).error
        assert error == pytest.approx(measure_with_torchmetrics(probabilities, results.labels), abs=1e-6)


def test_bins_contain_the_images_from_their_lower_to_their_upper_end():
    low = np.float32(2 / 3)  # the lower end of the eleventh bin
    confidences = np.array([low, np.nextafter(low, np.float32(0)), 0.7, 1, 0.95], dtype=np.float32)
    results = make_results(np.stack([confidences, 1 - confidences], axis=1), [0, 0, 1, 1, 0])
    bins = measure_calibration(results.probabilities, results.labels).bins
    assert len(bins) == 15
    assert [(index, item.count) for index, item in enumerate(bins) if item.count] == [(9, 1), (10, 2), (14, 2)]
    assert (bins[0].low, bins[14].high) == (0, 1)
    assert (bins[10].low, bins[10].high) == pytest.approx((10 / 15, 11 / 15))
    assert (bins[10].confidence, bins[10].accuracy) == pytest.approx(((2 / 3 + 0.7) / 2, 0.5))
    assert math.isnan(bins[0].confidence)
    assert math.isnan(bins[0].accuracy)


def test_bins_agree_with_torchmetrics_at_their_ends():
    ends = torch.linspace(0, 1, 16)[8:15].numpy()
    for confidence in ends:
        probabilities = np.array([[confidence, 1 - confidence], [0.999, 0.001]], dtype=np.float32)
        labels = np.array([0, 1])
        expected = measure_with_torchmetrics(probabilities, labels)
        assert measure_calibration(probabilities, labels).error == pytest.approx(expected, abs=1e-6)


def test_images_with_a_confidence_of_one_are_in_the_last_bin():
    probabilities = np.array([[1, 0], [1, 0], [0.96, 0.04], [0.96, 0.04]], dtype=np.float32)
    calibration = measure_calibration(probabilities, np.array([0, 1, 0, 0]))
    assert calibration.bins[-1].count == 4
    assert calibration.error == pytest.approx(0.98 - 0.75)


@pytest.mark.parametrize(("labels", "error"), [([0, 1, 2], 0), ([1, 2, 0], 1), ([0, 2, 2], 1 / 3)])
def test_calibration_error_of_saturated_probabilities(labels, error):
    assert measure_calibration(np.eye(3, dtype=np.float32), np.array(labels)).error == pytest.approx(error)


def test_calibration_without_images_is_undefined():
    calibration = measure_calibration(np.empty((0, 3), np.float32), np.empty(0, np.int64))
    assert math.isnan(calibration.error)
    assert [item.count for item in calibration.bins] == [0] * 15


def test_calibration_with_probabilities_that_are_not_numbers_is_undefined():
    probabilities = np.array([[0.5, 0.5], [np.nan, np.nan]], dtype=np.float32)
    calibration = measure_calibration(probabilities, np.array([0, 0]))
    assert math.isnan(calibration.error)
    assert sum(item.count for item in calibration.bins) == 1


@pytest.mark.parametrize("num_classes", [2, 10, 100])
@pytest.mark.parametrize("temperature", [0.4, 1, 2.5])
def test_temperature_that_was_applied_is_found_again(num_classes, temperature):
    results = make_random(4000, num_classes)
    miscalibrated = apply_temperature(results.probabilities, 1 / temperature)
    fitted = fit_temperature(miscalibrated, results.labels)
    assert fitted == pytest.approx(temperature, rel=0.06)  # the labels are random
    calibrated = apply_temperature(miscalibrated, fitted)
    assert measure_calibration(calibrated, results.labels).error < 0.03


@pytest.mark.parametrize("size", [(6, 2), (40, 5), (200, 30)])
def test_temperature_is_that_of_a_dense_search(size):
    grid = np.geomspace(MIN_TEMPERATURE, MAX_TEMPERATURE, 1001)
    for seed in range(3):
        results = make_random(*size, seed=seed)
        best = grid[np.argmin([compute_loss(results.probabilities, results.labels, value) for value in grid])]
        fitted = fit_temperature(results.probabilities, results.labels)
        if fitted is None:
            assert best in (grid[0], grid[-1])
        else:
            assert fitted == pytest.approx(best, rel=0.006)


def test_probability_of_zero_counts_as_the_smallest_normal_number():
    probabilities = np.array([[1, 0]] * 200, dtype=np.float32)
    labels = np.array([1] + [0] * 199)
    fitted = fit_temperature(probabilities, labels)
    assert fitted == pytest.approx(-math.log(np.finfo(np.float32).tiny) / math.log(199), rel=1e-4)
    assert apply_temperature(probabilities, fitted) == pytest.approx(np.array([[199 / 200, 1 / 200]] * 200), rel=1e-3)


@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        pytest.param([[0.9, 0.1], [0.2, 0.8]], [0, 1], id="all right: the lower the better"),
        pytest.param([[0.9, 0.1], [0.2, 0.8]], [1, 0], id="all wrong: the higher the better"),
        pytest.param([[0.9, 0.1], [0.6, 0.4]], [0, 0], id="one class"),
        pytest.param([[1, 0], [0, 1]], [0, 1], id="saturated"),
        pytest.param([[0.5, 0.5], [0.5, 0.5]], [0, 1], id="constant"),
        pytest.param([[np.nan, np.nan], [0.2, 0.8]], [0, 0], id="not numbers"),
        pytest.param([[0.7, 0.3]], [1], id="one image"),
        pytest.param(np.empty((0, 2)), [], id="no images"),
    ],
)
def test_no_temperature_is_returned_if_none_is_a_minimum(probabilities, labels):
    assert fit_temperature(np.array(probabilities, np.float32), np.array(labels, np.int64)) is None


def test_a_temperature_of_one_changes_nothing():
    probabilities = make_random(500, 1000).probabilities
    assert np.allclose(apply_temperature(probabilities, 1), probabilities, atol=1e-6)


@pytest.mark.parametrize("temperature", [MIN_TEMPERATURE, 1, MAX_TEMPERATURE])
def test_scaled_probabilities_are_probabilities_of_the_same_predictions(temperature):
    for probabilities in (make_random(50, 1000).probabilities, np.eye(4, dtype=np.float32), np.full((2, 3), 1 / 3)):
        scaled = apply_temperature(probabilities, temperature)
        assert scaled.dtype == np.float32
        assert scaled.sum(axis=1) == pytest.approx(np.ones(len(scaled)), abs=1e-5)
        rows = np.arange(len(scaled))
        assert (scaled[rows, probabilities.argmax(axis=1)] == scaled.max(axis=1)).all()


def test_scaled_logits_of_two_images_are_those_of_the_definition():
    probabilities = np.array([[0.8, 0.2], [0.5, 0.5]], dtype=np.float32)
    odds = math.sqrt(4)  # 0.8 / 0.2 at a temperature of 2
    expected = [[odds / (1 + odds), 1 / (1 + odds)], [0.5, 0.5]]
    assert apply_temperature(probabilities, 2) == pytest.approx(np.array(expected), abs=1e-6)


def test_accuracy_rises_as_fewer_of_three_images_are_answered():
    results = make_results([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]], [0, 0, 0])
    fractions, accuracies = accuracy_by_coverage(results)
    assert fractions == pytest.approx([1 / 3, 2 / 3, 1])
    assert accuracies == pytest.approx([1, 1, 2 / 3])


def test_accuracy_by_coverage_is_that_of_the_sorted_images():
    results = make_random(2500, 10)
    order = np.argsort(-results.probabilities.max(axis=1), kind="stable")
    fractions, accuracies = accuracy_by_coverage(results)
    assert len(fractions) == 200
    assert fractions[-1] == 1
    assert accuracies[-1] == results.correct.mean()
    for fraction, accuracy in zip(fractions, accuracies, strict=True):
        assert accuracy == pytest.approx(results.correct[order[: round(fraction * 2500)]].mean())


def test_accuracy_by_coverage_does_not_depend_on_the_order_of_images_with_equal_confidence():
    table = [[0.9, 0.1]] * 4 + [[0.7, 0.3]] * 4
    results = make_results(table, [0, 0, 0, 1, 0, 1, 1, 1])
    _, accuracies = accuracy_by_coverage(results)
    assert accuracies == pytest.approx([0.75, 0.75, 0.75, 0.75, 3.25 / 5, 3.5 / 6, 3.75 / 7, 4 / 8])
    for _ in range(3):
        shuffled = results.select(np.random.default_rng(0).permutation(8))
        assert accuracy_by_coverage(shuffled)[1] == pytest.approx(accuracies)


def test_images_whose_probabilities_are_not_numbers_are_answered_last():
    results = make_results([[np.nan, np.nan], [0.6, 0.4]], [1, 0])
    assert accuracy_by_coverage(results)[1].tolist() == [1, 0.5]


def test_accuracy_by_coverage_of_one_image_and_of_none():
    fractions, accuracies = accuracy_by_coverage(make_results([[0.6, 0.4]], [0]))
    assert (fractions.tolist(), accuracies.tolist()) == ([1], [1])
    fractions, accuracies = accuracy_by_coverage(make_results(np.empty((0, 2)), []))
    assert (fractions.tolist(), accuracies.tolist()) == ([], [])
