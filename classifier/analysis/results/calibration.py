"""Calibration: how well the probabilities of the predicted classes agree with the accuracy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from classifier.analysis.results.image_results import ImageResults

NUM_BINS = 15  # as in Guo et al. (2017), "On calibration of modern neural networks"
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
MAX_COVERAGE_POINTS = 200
CHUNK_SIZE = 2**18  # probabilities that are processed at a time, 1 MB: intermediate results stay in the CPU's cache


@dataclass(frozen=True)
class Bin:
    """The images whose confidence is from `low` (included) to `high` (excluded, except for 1).

    The confidence of an image is the probability of its predicted class.

    Args:
        low: Lower end.
        high: Upper end.
        count: Number of images.
        confidence: Their mean confidence; NaN if there are none.
        accuracy: Their accuracy; NaN if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Images by confidence, and the expected calibration error.

    Args:
        bins: 15 bins of equal width.
        error: Mean absolute difference of confidence and accuracy of the bins, weighted by their number of images, from
            0 to 1. NaN without images, or if there are probabilities that are not numbers.
    """

    bins: tuple[Bin, ...]
    error: float


def measure_calibration(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    """Return the images by confidence, and the expected calibration error.

    torchmetrics' `MulticlassCalibrationError` puts images with a confidence of exactly 1 into a bin of their own; here,
    they are in the last bin. Images whose probabilities are NaN are in no bin.

    Args:
        probabilities: Probabilities of the classes (N, C), float.
        labels: True classes (N,), int64.
    """
    confidences, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    defined = ~np.isnan(confidences)
    edges = np.linspace(0, 1, NUM_BINS + 1, dtype=np.float32)
    numbers = np.searchsorted(edges[1:-1], confidences[defined], side="right")
    counts, sums, hits = (
        np.bincount(numbers, weights=weights, minlength=NUM_BINS).tolist()
        for weights in (None, confidences[defined], correct[defined])
    )
    bins = tuple(
        Bin(low, high, count, total / count if count else math.nan, hit / count if count else math.nan)
        for low, high, count, total, hit in zip(
            edges[:-1].tolist(), edges[1:].tolist(), counts, sums, hits, strict=True
        )
    )
    gaps = sum(abs(total - hit) for total, hit in zip(sums, hits, strict=True))
    is_defined = len(labels) > 0 and bool(defined.all())
    return Calibration(bins, gaps / len(labels) if is_defined else math.nan)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the temperature that minimises the mean cross-entropy (Guo et al., 2017).

    The logits are divided by the temperature, so that a network with one above 1 is too confident. The cross-entropy is
    a convex function of its reciprocal: the search is for the zero of the derivative.

    Args:
        probabilities: Probabilities of the classes (N, C), float, of images that are not those whose calibration is
            measured.
        labels: True classes (N,), int64.

    Returns:
        The temperature, or None if no temperature from 0.05 to 20 is a minimum. That is the case if the true class of
        every image is the most probable one, if probabilities are not numbers, and without images.
    """

    def compute_slope(log_temperature: float) -> float:
        return differentiate_loss(probabilities, labels, math.exp(-log_temperature))

    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    # The slope is that by the reciprocal, which decreases with the temperature.
    if len(labels) == 0 or not (compute_slope(low) > 0 > compute_slope(high)):
        return None
    return math.exp(brentq(compute_slope, low, high, xtol=1e-5))


def differentiate_loss(probabilities: np.ndarray, labels: np.ndarray, factor: float) -> float:
    """Return the derivative of the mean cross-entropy by a factor of the logits, at a value of this factor."""
    total = 0.0
    for rows, logits in iterate_logits(probabilities):
        total -= float(np.take_along_axis(logits, labels[rows, None], axis=1).sum(dtype=np.float64))
        scaled = np.exp(logits * np.float32(factor))
        total += float((np.einsum("ij,ij->i", logits, scaled) / scaled.sum(axis=1)).sum(dtype=np.float64))
    return total / len(labels)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities (N, C), float32, of the logits divided by a temperature."""
    result = np.empty(probabilities.shape, dtype=np.float32)
    for rows, logits in iterate_logits(probabilities):
        scaled = np.exp(logits / np.float32(temperature), out=result[rows])
        scaled /= scaled.sum(axis=1, keepdims=True)
    return result


def iterate_logits(probabilities: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of rows, and logits of these rows (M, C), float32, of which the highest is 0.

    A probability of 0 has the logit of the smallest normal float32, about -87, because its own one is unknown.
    """
    chunk_size = max(1, CHUNK_SIZE // max(1, probabilities.shape[1]))
    for start in range(0, len(probabilities), chunk_size):
        rows = slice(start, start + chunk_size)
        logits = np.log(np.maximum(probabilities[rows], np.finfo(np.float32).tiny), dtype=np.float32)
        yield rows, logits - logits.max(axis=1, keepdims=True)


def accuracy_by_coverage(results: ImageResults) -> tuple[np.ndarray, np.ndarray]:
    """Return the accuracy of the most confident images, for increasing fractions of all images.

    Images with equal confidence are in random order: the accuracy is the mean over all orders.

    Returns:
        Fractions and accuracies, float64, at most 200 of each; the last fraction is 1. Without images, both are empty.
    """
    total = len(results)
    if total == 0:
        return np.empty(0), np.empty(0)
    confidences = np.nan_to_num(results.probabilities.max(axis=1), nan=-1.0)
    _, groups = np.unique(-confidences, return_inverse=True)
    ends = np.cumsum(np.bincount(groups))
    hits = np.cumsum(np.bincount(groups, weights=results.correct))
    counts = np.unique(np.linspace(1, total, min(total, MAX_COVERAGE_POINTS)).round())
    return counts / total, np.interp(counts, np.append(0, ends), np.append(0, hits)) / counts
