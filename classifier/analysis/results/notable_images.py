"""Images that are worth looking at: errors with a high loss, correct predictions that are close, doubtful labels."""

import numpy as np

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.metrics import sort_by_loss


def find_highest_losses(results: ImageResults, count: int = 24) -> np.ndarray:
    """Return the row numbers of the misclassified images with the highest loss, at most `count`, highest first."""
    return sort_by_loss(results, np.flatnonzero(~results.correct))[:count]


def find_smallest_margins(results: ImageResults, count: int = 24) -> np.ndarray:
    """Return the row numbers of the correctly classified images with the smallest margin, at most `count`.

    The margin is the difference between the two highest probabilities. The smallest one is first, and equal ones keep
    their order.
    """
    rows = np.flatnonzero(results.correct)
    probabilities = results.probabilities
    own = probabilities[rows, results.labels[rows]]
    others = np.arange(probabilities.shape[1]) != results.predictions[:, None]
    margins = own - probabilities.max(axis=1, where=others, initial=0)[rows]
    return rows[np.argsort(margins, kind="stable")][:count]


def find_doubtful_labels(results: ImageResults) -> np.ndarray:
    """Return the row numbers of the images whose label may be wrong, most doubtful first."""
    return np.flatnonzero(~results.correct)[:0]  # TODO: the rule
