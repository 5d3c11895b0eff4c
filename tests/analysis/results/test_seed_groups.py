"""Runs that differ only in their seed are one group, and the test over seeds is Welch's."""

import dataclasses
import math

import numpy as np
import pytest
from helpers.results import make_predicted
from scipy.stats import ttest_ind

from classifier.analysis.results.paired import identify_images
from classifier.analysis.results.seed_groups import can_test_seeds, compute_welch, find_seed_groups

NUM_IMAGES = 40


def make_run(num_correct, loss=1.0):
    """Return results of 40 images with a number of correct predictions."""
    labels = [index % 2 for index in range(NUM_IMAGES)]
    predictions = [label if index < num_correct else 1 - label for index, label in enumerate(labels)]
    results = make_predicted(predictions, labels, 2)
    return dataclasses.replace(results, losses=np.full(NUM_IMAGES, loss))


def find(settings, results=None, names=None):
    """Return the groups of runs with given settings."""
    results = results or [make_run(30) for _ in settings]
    images = [identify_images(result) for result in results]
    return find_seed_groups(names or [f"run {i}" for i in range(len(settings))], settings, results, images)


def list_runs(settings, results=None):
    return [group.runs for group in find(settings, results)]


def test_runs_with_equal_settings_are_grouped_whatever_does_not_affect_the_result():
    settings = [
        {"seed_everything": 0, "model.lr": 0.1, "threads": 1},
        {"seed_everything": 0, "model.lr": 0.2},
        {"seed_everything": 1, "model.lr": 0.1, "name": "b", "trainer.logger.save_dir": "x", "model.mean": None},
        {"seed_everything": 1, "model.lr": 0.2, "pictures": False},
        {"seed_everything": 2, "model.lr": 0.1, "data.root": "other_images"},
    ]
    assert list_runs(settings) == [(0, 2), (1, 3), (4,)]
    assert [group.name for group in find(settings)] == ["run 0 (2 seeds)", "run 1 (2 seeds)", "run 4"]


def test_repeated_runs_are_not_counted_as_further_seeds():
    settings = [{"seed_everything": seed, "model.lr": 0.1} for seed in (0, 1, 0, 1)]
    assert list_runs(settings) == [(0, 1), (2, 3)]


@pytest.mark.parametrize("seed", [None, False, True])
def test_runs_without_a_known_seed_are_not_grouped(seed):
    assert list_runs([{"seed_everything": seed}, {"seed_everything": 1}, {}]) == [(0,), (1,), (2,)]


def test_runs_with_other_images_are_not_grouped():
    settings = [{"seed_everything": seed} for seed in range(3)]
    results = [make_run(30), make_run(30).select(np.arange(20)), make_run(20)]
    assert list_runs(settings, results) == [(0, 2), (1,)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["high_seed0", "high_seed1"], ["high (2 seeds)"]),
        (["version_0", "version_1"], ["version_0 (2 seeds)"]),
        (["high_seed0", "version_1"], ["high_seed0 (2 seeds)"]),
        (["high_seed1", "high_seed0"], ["high_seed1 (2 seeds)"]),  # the names contradict the seeds
        (["high_seed0", "high_seed1", "high_seed0b"], ["high_seed0 (2 seeds)", "high_seed0b"]),
    ],
)
def test_group_has_the_name_that_its_runs_have_in_common(names, expected):
    settings = [{"seed_everything": 0}, {"seed_everything": 1}, {"seed_everything": 0, "model.lr": 2}][: len(names)]
    groups = find(settings, [make_run(number) for number in range(30, 30 + len(names))], names)
    assert [group.name for group in groups] == expected


def test_statistics_are_those_of_the_sample():
    settings = [{"seed_everything": seed} for seed in range(3)]
    group = find(settings, [make_run(30, 1.0), make_run(31, 2.0), make_run(35, 6.0)])[0]
    assert group.accuracy == pytest.approx(32 / 40)
    assert group.accuracy_deviation == pytest.approx(math.sqrt(7) / 40)
    assert (group.loss, group.loss_deviation) == pytest.approx((3.0, math.sqrt(7)))
    single = find([{}], [make_run(30, math.inf)])[0]
    assert (single.accuracy, single.loss) == (0.75, math.inf)
    assert math.isnan(single.accuracy_deviation)
    diverged = find(settings, [make_run(30), make_run(30, math.inf), make_run(30, math.nan)])[0]
    assert math.isnan(diverged.loss_deviation)


@pytest.mark.filterwarnings("ignore:Precision loss")  # of scipy, about accuracies that do not vary
@pytest.mark.parametrize("numbers", [((30, 31), (35, 33)), ((30, 30, 30), (36, 35)), ((1, 39), (20, 25, 26, 40, 8))])
def test_test_over_seeds_is_that_of_scipy(numbers):
    settings = [{"seed_everything": seed, "model.lr": side} for side in (0, 1) for seed in range(len(numbers[side]))]
    first, second = find(settings, [make_run(number) for side in numbers for number in side])
    assert can_test_seeds(first, second)
    difference, p_value = compute_welch(first, second)
    accuracies = [np.array(side) / NUM_IMAGES for side in numbers]
    expected = ttest_ind(accuracies[1], accuracies[0], equal_var=False)
    assert p_value == pytest.approx(expected.pvalue)
    assert difference[1:] == pytest.approx(tuple(expected.confidence_interval()))
    assert difference.value == pytest.approx(accuracies[1].mean() - accuracies[0].mean())


def test_seeds_are_not_tested_with_single_runs_or_without_any_variation():
    settings = [{"seed_everything": seed, "model.lr": side} for side, seed in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]]
    constant, other, single = find(settings, [make_run(number) for number in (30, 30, 35, 35, 10)])
    assert not can_test_seeds(constant, other)
    assert not can_test_seeds(single, constant)
