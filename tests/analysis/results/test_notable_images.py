"""Notable images: in the right order on small results, and labels that were changed are found."""

import math
import statistics

import numpy as np
import pytest
from helpers.results import make_random, make_results

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.notable_images import (
    find_doubtful_labels,
    find_highest_losses,
    find_smallest_margins,
)


def relabel(results: ImageResults, rows: list[int]) -> ImageResults:
    """Return the results with another label of some images: the class after the next one."""
    labels = results.labels.copy()
    labels[rows] = (labels[rows] + 2) % len(results.class_names)
    return make_results(results.probabilities, labels.tolist())


def make_confident(num_images: int, num_classes: int, seed: int = 0) -> ImageResults:
    """Return results with an accuracy of about 95%; the errors are between a class and the next one, in pairs."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, num_classes, num_images)
    logits = generator.normal(0, 1, (num_images, num_classes))
    rows = np.arange(num_images)
    logits[rows, labels] += 10
    logits[rows, labels ^ 1] += 10 - np.abs(generator.normal(0, 15, num_images))
    exponentials = np.exp(logits)
    return make_results(exponentials / exponentials.sum(axis=1, keepdims=True), labels.tolist())


def test_errors_are_sorted_by_loss():
    results = make_results(np.eye(2)[[1, 1, 0, 1, 1]], [0, 0, 0, 0, 1], losses=[2, 5, 9, 3, 9])
    assert find_highest_losses(results).tolist() == [1, 3, 0]
    assert find_highest_losses(results, count=2).tolist() == [1, 3]


def test_errors_with_equal_losses_keep_their_order_and_losses_that_are_not_numbers_are_first():
    results = make_results(np.eye(2)[[1] * 5], [0] * 5, losses=[1, 2, math.nan, 2, math.inf])
    assert find_highest_losses(results).tolist() == [2, 4, 1, 3, 0]


def test_correct_predictions_are_sorted_by_margin():
    table = [[0.5, 0.4, 0.1], [0.45, 0.1, 0.45], [0.9, 0.1, 0], [0.2, 0.35, 0.45], [0, 0, 1]]
    results = make_results(table, [0, 0, 0, 1, 2])
    assert find_smallest_margins(results).tolist() == [1, 0, 2, 4]
    assert find_smallest_margins(results, count=1).tolist() == [1]


def test_margins_are_the_differences_of_the_two_highest_probabilities():
    results = make_random(1000, 7)
    ordered = np.sort(results.probabilities, axis=1)
    margins = np.where(results.correct, ordered[:, -1] - ordered[:, -2], np.inf)
    assert find_smallest_margins(results).tolist() == np.argsort(margins, kind="stable")[:24].tolist()


def test_margins_of_probabilities_that_are_not_numbers_are_not_compared():
    results = make_results([[np.nan, np.nan], [0.6, 0.4]], [0, 0])
    assert find_smallest_margins(results).tolist() == [1]


@pytest.mark.parametrize("find", [find_highest_losses, find_smallest_margins, find_doubtful_labels])
@pytest.mark.parametrize(
    ("table", "labels"),
    [
        pytest.param(np.empty((0, 3)), [], id="no images"),
        pytest.param(np.eye(3), [0, 1, 2], id="all right"),
        pytest.param(np.eye(3), [1, 2, 0], id="all wrong"),
        pytest.param([[0.7, 0.3], [0.2, 0.8]], [1, 0], id="two images"),
        pytest.param([[0.3, 0.7]], [0], id="one image"),
        pytest.param(np.eye(3), [1, 1, 1], id="one class"),
        pytest.param(np.eye(1000)[:20], range(1, 21), id="1,000 classes"),
        pytest.param(np.full((3, 3), np.nan), [0, 1, 2], id="not numbers"),
    ],
)
def test_degenerate_results_have_at_most_their_images(find, table, labels):
    results = make_results(table, labels)
    rows = find(results)
    assert len(set(rows.tolist())) == len(rows)
    expected = results.correct if find is find_smallest_margins else ~results.correct
    assert expected[rows].all()
    if find is find_doubtful_labels:
        assert rows.tolist() == []


def test_no_label_is_doubtful_if_the_errors_are_between_similar_classes():
    results = make_confident(4000, 10)
    assert 0.02 < 1 - results.correct.mean() < 0.08
    assert find_doubtful_labels(results).tolist() == []


@pytest.mark.parametrize("num_classes", [4, 10, 100])
def test_changed_labels_are_found_and_no_others(num_classes):
    results = make_confident(5000, num_classes)
    rows = np.flatnonzero(results.correct)[::40].tolist()
    found = find_doubtful_labels(relabel(results, rows))
    assert set(found) <= set(rows)
    assert 0.3 < len(found) / len(rows) < 0.7  # half of them have a probability below the median


def test_changed_labels_are_found_however_confident_the_network_is():
    results = make_confident(3000, 10)
    rows = np.flatnonzero(results.correct)[::40].tolist()
    changed = relabel(results, rows)
    found = set(find_doubtful_labels(changed))
    smoothed = changed.probabilities * 0.8 + 0.02  # as with label smoothing of 0.2
    assert set(find_doubtful_labels(make_results(smoothed, changed.labels.tolist()))) == found


def test_doubtful_labels_are_sorted_by_loss():
    changed = relabel(make_confident(3000, 10), list(range(0, 3000, 30)))
    losses = changed.losses[find_doubtful_labels(changed)]
    assert len(losses) > 20
    assert (np.diff(losses) <= 0).all()


def is_doubtful(results: ImageResults, row: int) -> bool:
    """Return whether the label of an image may be wrong, by the definition, one image after the other."""
    labels, predictions, table = results.labels.tolist(), results.predictions.tolist(), results.probabilities.tolist()
    label, other = labels[row], predictions[row]
    own_class = [values[other] for values, true in zip(table, labels, strict=True) if true == other]
    if label == other or not own_class or table[row][other] < statistics.fmean(own_class):
        return False
    similar = [
        true == other
        for values, true, predicted in zip(table, labels, predictions, strict=True)
        if predicted == other and values[other] >= statistics.fmean(own_class)
    ]
    others = [values[label] for values, true in zip(table, labels, strict=True) if true != label]
    return statistics.fmean(similar) >= 0.7 and table[row][label] <= statistics.median(others)


@pytest.mark.parametrize("seed", range(5))
def test_doubtful_labels_are_those_of_the_definition(seed):
    results = make_random(120, 3, seed=seed, scale=3 + seed)
    changed = relabel(results, list(range(0, 120, 12)))
    found = find_doubtful_labels(changed).tolist()
    assert sorted(found) == [row for row in range(120) if is_doubtful(changed, row)]
    assert found


def make_doubtful(other: float, num_correct: int = 4, label: float = 0.01) -> ImageResults:
    """Return an image of class 0 that was predicted as class 1, and correct predictions.

    Args:
        other: Probability of class 1.
        num_correct: Number of images of class 1 that were predicted correctly with a probability of 0.9.
        label: Probability of class 0.
    """
    table = [[label, other, 1 - other - label], *[[0.05, 0.9, 0.05]] * num_correct, [0.8, 0.1, 0.1]]
    return make_results(table, [0, *[1] * num_correct, 0])


def test_label_is_doubtful_if_the_network_is_as_confident_of_another_class_as_usual():
    assert find_doubtful_labels(make_doubtful(0.9)).tolist() == [0]
    assert find_doubtful_labels(make_doubtful(0.89)).tolist() == []


def test_label_is_not_doubtful_if_the_other_class_is_unreliable():
    assert find_doubtful_labels(make_doubtful(0.95, num_correct=3)).tolist() == [0]  # 3 of 4 predictions are correct
    assert find_doubtful_labels(make_doubtful(0.95, num_correct=2)).tolist() == []


def test_label_is_not_doubtful_if_it_is_more_probable_than_for_most_other_images():
    assert find_doubtful_labels(make_doubtful(0.93, label=0.05)).tolist() == [0]
    assert find_doubtful_labels(make_doubtful(0.93, label=0.06)).tolist() == []


def test_labels_of_images_with_probabilities_that_are_not_numbers_are_not_judged():
    results = make_doubtful(0.9)
    table = np.concatenate([np.full((2, 3), np.nan), results.probabilities])
    assert find_doubtful_labels(make_results(table, [0, 1, *results.labels])).tolist() == [2]
