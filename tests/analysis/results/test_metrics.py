"""Metrics are those of scikit-learn on random results, and are defined by their meaning on small ones."""

import math

import numpy as np
import pytest
from helpers.results import make_predicted, make_random, make_results
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from classifier.analysis.results.intervals import Interval, wilson
from classifier.analysis.results.metrics import (
    ConfusedPair,
    count_confusions,
    describe_classes,
    find_confused_pairs,
    summarize,
)


@pytest.mark.parametrize(("num_images", "num_classes"), [(1, 3), (2, 3), (30, 10), (500, 4), (300, 50), (2000, 1000)])
def test_summary_is_that_of_scikit_learn(num_images, num_classes):
    results = make_random(num_images, num_classes, scale=3)
    labels, predictions = results.labels, results.predictions
    summary = summarize(results)
    present = np.unique(labels)
    recalls = [np.mean(predictions[labels == label] == label) for label in present]
    assert summary.num_images == num_images
    assert summary.accuracy == wilson(int((labels == predictions).sum()), num_images)
    assert summary.loss.value == pytest.approx(-np.log(results.probabilities[range(num_images), labels]).mean())
    assert summary.balanced_accuracy == pytest.approx(np.mean(recalls))
    assert summary.macro_f1 == pytest.approx(f1_score(labels, predictions, average="macro"))
    if num_classes > 10:
        names = range(num_classes)
        expected = top_k_accuracy_score(labels, results.probabilities, k=5, labels=names)
        assert summary.top5 == pytest.approx(expected)
    else:
        assert summary.top5 is None


def test_balanced_accuracy_is_that_of_scikit_learn():
    results = make_random(400, 5)
    expected = balanced_accuracy_score(results.labels, results.predictions)
    assert summarize(results).balanced_accuracy == pytest.approx(expected)


def test_rows_of_classes_are_those_of_scikit_learn():
    results = make_random(60, 30)  # with empty classes, and classes that are never predicted
    expected = precision_recall_fscore_support(
        results.labels, results.predictions, labels=range(30), zero_division=np.nan
    )
    rows = describe_classes(results)
    assert [row.name for row in rows] == list(results.class_names)
    columns = ([row.precision for row in rows], [row.recall.value for row in rows])
    for column, values in zip(columns, expected[:2], strict=True):
        assert column == pytest.approx(values.tolist(), nan_ok=True)
    for row, f1, total in zip(rows, *expected[2:], strict=True):
        assert row.num_images == total
        assert row.recall == pytest.approx(wilson(row.num_correct, total), nan_ok=True)
        is_used = total > 0 or not math.isnan(row.precision)
        assert row.f1 == pytest.approx(f1 if is_used else math.nan, nan_ok=True)
    assert sum(row.num_correct for row in rows) == results.correct.sum()


def test_confusion_matrix_is_that_of_scikit_learn():
    results = make_random(200, 7)
    counts = count_confusions(results)
    assert counts.dtype == np.int64
    assert (counts == confusion_matrix(results.labels, results.predictions, labels=range(7))).all()


def test_metrics_of_four_images():
    results = make_predicted([0, 0, 1, 1], [0, 1, 1, 1], num_classes=3)
    summary = summarize(results)
    assert summary.accuracy == wilson(3, 4)
    assert summary.balanced_accuracy == pytest.approx((1 + 2 / 3) / 2)  # without the class that has no images
    assert summary.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    first, second, empty = describe_classes(results)
    assert (first.num_images, first.num_correct, first.precision, first.recall.value) == (1, 1, 0.5, 1)
    assert (second.num_images, second.num_correct, second.precision) == (3, 2, 1)
    assert (empty.num_images, empty.num_correct) == (0, 0)
    assert all(math.isnan(value) for value in (empty.precision, *empty.recall, empty.f1))


def test_class_that_is_never_predicted_has_an_f1_of_zero():
    row = describe_classes(make_predicted([0, 0], [0, 1], num_classes=2))[1]
    assert math.isnan(row.precision)
    assert (row.recall.value, row.f1) == (0, 0)


def test_class_without_images_that_is_predicted_has_an_f1_of_zero():
    row = describe_classes(make_predicted([0, 1], [0, 0], num_classes=2))[1]
    assert (row.precision, row.f1) == (0, 0)
    assert math.isnan(row.recall.value)


@pytest.mark.parametrize(("predictions", "value"), [([0, 1, 2], 1), ([1, 2, 0], 0)])
def test_all_right_and_all_wrong(predictions, value):
    summary = summarize(make_predicted(predictions, [0, 1, 2], num_classes=3))
    assert (summary.accuracy.value, summary.balanced_accuracy, summary.macro_f1) == (value, value, value)


def test_without_images_everything_is_undefined():
    results = make_results(np.empty((0, 12)), [])
    summary = summarize(results)
    numbers = (*summary.accuracy, *summary.loss, summary.balanced_accuracy, summary.macro_f1, summary.top5)
    assert summary.num_images == 0
    assert all(math.isnan(number) for number in numbers)
    assert len(describe_classes(results)) == 12
    assert count_confusions(results).shape == (12, 12)
    assert find_confused_pairs(results) == []


def test_loss_of_one_image_has_no_interval():
    loss = summarize(make_predicted([0], [0], num_classes=2)).loss
    assert loss == pytest.approx(Interval(-math.log(0.9), math.nan, math.nan), nan_ok=True)


def test_interval_of_the_loss_is_not_below_zero():
    losses = [0, 0, 0, 5]
    assert summarize(make_results(np.eye(4), [0, 1, 2, 3], losses)).loss.low == 0


@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_loss_that_is_not_finite_is_shown(loss):
    summary = summarize(make_results(np.eye(2), [0, 1], [0.5, loss])).loss
    assert summary == pytest.approx(Interval(loss, math.nan, math.nan), nan_ok=True)


def test_diverged_network_has_an_accuracy_but_no_loss():
    results = make_results(np.full((4, 11), np.nan), [0, 0, 1, 2])
    summary = summarize(results)
    assert summary.accuracy.value == 0.5  # every prediction is class 0
    assert math.isnan(summary.loss.value)
    assert summary.top5 == 0


def test_top5_counts_classes_with_equal_probabilities_in_the_order_of_the_labels():
    table = np.full((8, 12), 1 / 12)
    assert summarize(make_results(table, range(8))).top5 == 5 / 8


def test_top5_of_saturated_probabilities_contains_all_correct_predictions():
    results = make_results(np.eye(20), range(20))
    assert summarize(results).top5 == 1
    wrong = make_results(np.eye(20), [(label + 1) % 20 for label in range(20)])
    assert 0 < summarize(wrong).top5 < 0.5


def test_confused_pairs_are_ordered_by_count_and_then_by_class():
    predictions = [1, 1, 0, 0, 2, 2, 2, 0, 1, 2]
    labels = [0, 0, 1, 1, 1, 1, 1, 2, 2, 2]
    results = make_results(np.eye(3)[predictions], labels, losses=[1, 2, 4, 3, 1, 3, 2, 1, 1, 0])
    pairs = [ConfusedPair(1, 2, 3, (5, 6, 4)), ConfusedPair(0, 1, 2, (1, 0)), ConfusedPair(1, 0, 2, (2, 3))]
    assert find_confused_pairs(results, count=3) == pairs
    assert len(find_confused_pairs(results)) == 5


def test_example_images_of_a_pair_are_the_four_with_the_highest_loss():
    results = make_results(np.eye(2)[[1] * 6], [0] * 6, losses=[1, math.nan, 3, math.inf, 2, 0.5])
    assert find_confused_pairs(results) == [ConfusedPair(0, 1, 6, (1, 3, 2, 4))]


def test_no_pair_is_confused_if_all_are_right():
    assert find_confused_pairs(make_predicted([0, 1], [0, 1], num_classes=2)) == []


def test_confused_pairs_of_random_results_are_the_largest_entries_of_the_confusion_matrix():
    results = make_random(3000, 20)
    counts = confusion_matrix(results.labels, results.predictions, labels=range(20))
    off_diagonal = sorted(counts[~np.eye(20, dtype=bool)].tolist(), reverse=True)
    pairs = find_confused_pairs(results, count=12)
    assert [pair.count for pair in pairs] == off_diagonal[:12]
    for pair in pairs:
        assert pair.count == counts[pair.true, pair.predicted]
        assert set(results.labels[list(pair.rows)]) == {pair.true}
        assert set(results.predictions[list(pair.rows)]) == {pair.predicted}
