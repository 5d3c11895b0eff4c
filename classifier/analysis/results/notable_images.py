"""Images that are worth looking at: errors with a high loss, correct predictions that are close, doubtful labels."""

import numpy as np

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.metrics import divide, sort_by_loss

# Fraction of all images that are misclassified. Above it, many images that `find_doubtful_labels` returns have correct
# labels: of the tutorial's network on CIFAR10, with 0.45, it returns 144 of 10,000 images.
MAX_TRUSTED_ERROR = 0.25
MIN_RELIABILITY = 0.7  # also reached by a good network if every tenth label is wrong


def find_highest_losses(results: ImageResults, count: int = 24) -> np.ndarray:
    """Return the row numbers of the misclassified images with the highest loss, at most `count`, highest first."""
    return sort_by_loss(results, np.flatnonzero(~results.correct))[:count]


def find_smallest_margins(results: ImageResults, count: int = 24) -> np.ndarray:
    """Return the row numbers of the correctly classified images with the smallest margin, at most `count`.

    The margin is the difference between the two highest probabilities. The smallest one is first, and equal ones keep
    their order. Images whose probabilities are NaN are not returned.
    """
    rows = np.flatnonzero(results.correct)
    probabilities = results.probabilities
    own = probabilities[rows, results.labels[rows]]
    others = np.arange(probabilities.shape[1]) != results.predictions[:, None]
    margins = own - probabilities.max(axis=1, where=others, initial=0)[rows]
    order = np.argsort(margins, kind="stable")  # NaN is last
    return rows[order[: min(count, np.count_nonzero(~np.isnan(margins)))]]


def find_doubtful_labels(results: ImageResults) -> np.ndarray:
    """Return the row numbers of the images whose label may be wrong, highest loss first.

    An image is listed if it was classified as another class than its label, and

    1. the network is confident of the other class: its probability is at least its mean for the images with that label,
       which is the threshold of confident learning (Northcutt et al., 2021);
    2. that class is reliable: at least 70% of all predictions of it with such a probability are correct; and
    3. nothing suggests the label: its probability is at most its median for the images with other labels.

    Most of the errors that confident learning lists are errors of the network on similar classes. The third condition
    excludes them, at the expense of about half of the wrong labels, and more between similar classes. All conditions
    compare probabilities with those of the same network, so that they do not depend on how confident it is in general.
    tests/benchmarks/doubtful_labels.py measures how many of the listed labels are wrong.
    """
    probabilities, labels, predictions = results.probabilities, results.labels, results.predictions
    confidences = probabilities.max(axis=1)
    if np.isnan(confidences).any():
        defined = np.flatnonzero(~np.isnan(confidences))
        return defined[find_doubtful_labels(results.select(defined))]
    num_classes = len(results.class_names)
    own = probabilities[np.arange(len(results)), labels]
    counts = np.bincount(labels, minlength=num_classes)
    thresholds = divide(np.bincount(labels, weights=own, minlength=num_classes), counts)
    confident = confidences >= thresholds[predictions]
    num_confident, num_correct = (
        np.bincount(predictions[mask], minlength=num_classes) for mask in (confident, confident & results.correct)
    )
    reliable = divide(num_correct, num_confident) >= MIN_RELIABILITY
    rows = np.flatnonzero(~results.correct & confident & reliable[predictions])
    medians = np.zeros(num_classes)
    for label in np.unique(labels[rows]):  # the predicted class has images, so that there are other labels
        medians[label] = np.median(probabilities[labels != label, label])
    return sort_by_loss(results, rows[own[rows] <= medians[labels[rows]]])
