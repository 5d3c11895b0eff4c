"""Metrics of all images and of every class, and the classes that are most often confused."""

import math
from dataclasses import dataclass

import numpy as np

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.intervals import Interval, mean_interval, wilson

MIN_CLASSES_FOR_TOP5 = 11
MAX_EXAMPLES = 4  # of a confused pair


@dataclass(frozen=True)
class Summary:
    """Metrics of all images, from 0 to 1 except for the loss; NaN for what is undefined, such as all without images.

    Args:
        num_images: Number of images.
        accuracy: Accuracy with its Wilson interval.
        loss: Mean cross-entropy with its t interval, which is cut off at 0.
        balanced_accuracy: Mean recall of the classes that have images.
        macro_f1: Mean F1 of the classes that occur among the labels or the predictions.
        top5: Fraction of the images whose true class is among the five most probable ones, where classes with equal
            probabilities are ordered by label; None for at most 10 classes.
    """

    num_images: int
    accuracy: Interval
    loss: Interval
    balanced_accuracy: float
    macro_f1: float
    top5: float | None


@dataclass(frozen=True)
class ClassRow:
    """Metrics of a class, from 0 to 1; NaN for what is undefined.

    Args:
        name: Name of the class.
        num_images: Number of images of this class.
        num_correct: Number of these that were classified correctly.
        precision: Fraction of the images predicted as this class that are of it; NaN if there are none.
        recall: Fraction of the images of this class that were classified correctly, with its Wilson interval.
        f1: Harmonic mean of precision and recall; NaN if the class has no images and was never predicted.
    """

    name: str
    num_images: int
    num_correct: int
    precision: float
    recall: Interval
    f1: float


@dataclass(frozen=True)
class ConfusedPair:
    """Images of one class that were predicted as another one.

    Args:
        true: Label of the true class.
        predicted: Label of the predicted class.
        count: Number of such images.
        rows: Row numbers of at most four of them in the `ImageResults`, highest loss first.
    """

    true: int
    predicted: int
    count: int
    rows: tuple[int, ...]


def summarize(results: ImageResults) -> Summary:
    """Return the metrics of all images."""
    confusion = count_confusions(results)
    num_correct, num_images = int(confusion.trace()), len(results)
    loss = mean_interval(results.losses)
    recalls = divide(confusion.diagonal(), confusion.sum(axis=1))
    return Summary(
        num_images=num_images,
        accuracy=wilson(num_correct, num_images),
        loss=loss._replace(low=float(np.maximum(loss.low, 0))),
        balanced_accuracy=mean_of_defined(recalls),
        macro_f1=mean_of_defined(compute_f1(confusion)),
        top5=compute_top5(results) if len(results.class_names) >= MIN_CLASSES_FOR_TOP5 else None,
    )


def describe_classes(results: ImageResults) -> list[ClassRow]:
    """Return the metrics of every class, in the order of the labels."""
    confusion = count_confusions(results)
    correct, totals = confusion.diagonal(), confusion.sum(axis=1)
    columns = (totals, correct, divide(correct, confusion.sum(axis=0)), compute_f1(confusion))
    rows = zip(results.class_names, *(column.tolist() for column in columns), strict=True)
    return [
        ClassRow(name, total, num_correct, precision, wilson(num_correct, total), f1)
        for name, total, num_correct, precision, f1 in rows
    ]


def count_confusions(results: ImageResults) -> np.ndarray:
    """Return the number of images of every true class (rows) and predicted class (columns), int64 (C, C)."""
    num_classes = len(results.class_names)
    cells = results.labels * num_classes + results.predictions
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def find_confused_pairs(results: ImageResults, count: int = 5) -> list[ConfusedPair]:
    """Return the pairs of true and predicted class with the most images, at most `count`, in decreasing order.

    Pairs with the same number of images are ordered by true class and predicted class.
    """
    confusion = count_confusions(results)
    np.fill_diagonal(confusion, 0)
    pairs = []
    for cell in np.argsort(-confusion, axis=None, kind="stable")[:count]:
        true, predicted = divmod(int(cell), len(confusion))
        if confusion[true, predicted] > 0:
            rows = np.flatnonzero((results.labels == true) & (results.predictions == predicted))
            examples = sort_by_loss(results, rows)[:MAX_EXAMPLES]
            pairs.append(ConfusedPair(true, predicted, int(confusion[true, predicted]), tuple(examples.tolist())))
    return pairs


def sort_by_loss(results: ImageResults, rows: np.ndarray) -> np.ndarray:
    """Return row numbers (M,) by decreasing loss; NaN counts as the highest loss, and equal losses keep their order."""
    losses = results.losses[rows]
    return rows[np.argsort(-np.where(np.isnan(losses), np.inf, losses), kind="stable")]


def compute_f1(confusion: np.ndarray) -> np.ndarray:
    """Return the F1 of every class (C,), float64; NaN for a class without images that was never predicted."""
    return divide(2 * confusion.diagonal(), confusion.sum(axis=0) + confusion.sum(axis=1))


def compute_top5(results: ImageResults) -> float:
    """Return the fraction of the images whose true class is among the five most probable ones."""
    probabilities, labels = results.probabilities, results.labels[:, None]
    own = np.take_along_axis(probabilities, labels, axis=1)
    num_before = np.count_nonzero(probabilities > own, axis=1)
    num_before += np.count_nonzero((probabilities == own) & (np.arange(probabilities.shape[1]) < labels), axis=1)
    is_top5 = (num_before < 5) & ~np.isnan(own[:, 0])
    return float(np.mean(is_top5)) if len(results) else math.nan


def divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Return the quotients of two arrays (C,) as float64, NaN where the denominator is 0."""
    return np.divide(numerators, denominators, out=np.full(len(numerators), math.nan), where=denominators != 0)


def mean_of_defined(values: np.ndarray) -> float:
    """Return the mean of the values (C,) that are not NaN, or NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else math.nan
