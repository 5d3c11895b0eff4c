"""Runs are compared by image or over seeds, and corrected for the number of comparisons."""

import dataclasses

import numpy as np
import pytest
from helpers.results import make_predicted
from scipy.stats import binomtest, ttest_ind

from classifier.analysis.results.comparison import ExampleRows, compare_runs
from classifier.analysis.results.paired import PairedCounts, paired_difference
from classifier.analysis.results.significance import correct_p_values

LABELS = [index % 3 for index in range(60)]


def make_run(wrong, shift=1):
    """Return results of 60 images of 3 classes that are correct except for the images with given numbers."""
    return make_predicted([(label + shift * (row in wrong)) % 3 for row, label in enumerate(LABELS)], LABELS, 3)


def compare(runs, seeds=None, rates=None):
    """Return the comparisons of runs with seeds 0 and learning rates 0, 1, ... by default."""
    names = [f"v{number}" for number in range(len(runs))]
    columns = zip(seeds or [0] * len(runs), rates or range(len(runs)), strict=True)
    return compare_runs(names, [{"seed_everything": seed, "model.lr": rate} for seed, rate in columns], runs)


def test_two_runs_are_compared_by_image_and_by_class():
    first, second = make_run({*range(0, 20), 40}), make_run({40, 50, 51})
    found = compare([first, second])
    comparison = found.comparisons[0]
    counts = (comparison.both, comparison.only_first, comparison.only_second, comparison.neither)
    assert counts == (37, 2, 20, 1)
    assert (comparison.first, comparison.second, comparison.pair) == ("v0", "v1", (0, 1))
    assert comparison.difference == paired_difference(PairedCounts(37, 2, 20, 1))
    assert comparison.p_value == pytest.approx(binomtest(2, 22).pvalue)
    assert comparison.corrected_p_value == comparison.p_value
    assert not comparison.over_seeds
    assert comparison.verdict.startswith("v1 is better than v0 by 30 points (95%: 16 to 43)")
    rows = [(row.name, row.num_images, row.only_first, row.only_second) for row in comparison.classes]
    assert rows == [("class 0", 20, 1, 7), ("class 1", 20, 0, 7), ("class 2", 20, 1, 6)]
    assert comparison.classes[1].difference == paired_difference(PairedCounts(12, 0, 7, 1))
    assert (found.groups, found.correction, found.problem) == ([], None, None)


def test_examples_are_those_with_the_highest_loss_of_the_run_that_is_wrong():
    first, second = make_run(set(range(20))), make_run({50, 51, 52})
    first = dataclasses.replace(first, losses=np.arange(60.0))
    second = dataclasses.replace(second, losses=np.where(np.arange(60) == 52, np.nan, -np.arange(60.0)))
    order = np.random.default_rng(0).permutation(60)
    comparison = compare([first, second.select(order)]).comparisons[0]
    places = np.argsort(order)
    assert comparison.examples_first == tuple(ExampleRows(row, int(places[row])) for row in (52, 50, 51))
    assert comparison.examples_second == tuple(ExampleRows(row, int(places[row])) for row in range(19, 11, -1))


def test_order_of_images_and_of_classes_does_not_matter():
    first, second = make_run({1, 2, 3, 10}), make_run({3, 20, 21})
    expected = compare([first, second]).comparisons[0]
    order = np.random.default_rng(0).permutation(60)
    numbers = np.array([2, 0, 1])  # class i becomes class numbers[i]
    names = tuple(second.class_names[old] for old in np.argsort(numbers))
    renumbered = dataclasses.replace(
        second, class_names=names, labels=numbers[second.labels], predictions=numbers[second.predictions]
    )
    found = compare([first, renumbered.select(order)]).comparisons[0]
    for field in ("classes", "verdict", "difference", "p_value", "only_first", "only_second", "both", "neither"):
        assert getattr(found, field) == getattr(expected, field)
    same = compare([first, first.select(order)]).comparisons[0]
    assert same.verdict == "v0 and v1 predict the same class for all 60 images."
    assert same.p_value == 1


def test_runs_that_are_wrong_in_different_ways_are_not_called_identical():
    verdict = compare([make_run({1}), make_run({1}, shift=2)]).comparisons[0].verdict
    assert verdict == (
        "v0 and v1 are equally accurate: both classify the same 59 of 60 images correctly, and differ only in their "
        "errors."
    )


def test_groups_are_compared_over_seeds_and_their_pair_has_the_same_seed():
    wrong = [range(10), range(12), range(13), range(30), range(32)]
    runs = [make_run(set(numbers)) for numbers in wrong]
    found = compare(runs, seeds=[0, 1, 2, 1, 3], rates=[0, 0, 0, 1, 1])
    comparison = found.comparisons[0]
    expected = ttest_ind([30 / 60, 28 / 60], [50 / 60, 48 / 60, 47 / 60], equal_var=False)
    assert comparison.over_seeds
    assert comparison.p_value == pytest.approx(expected.pvalue)
    assert comparison.difference[1:] == pytest.approx(tuple(expected.confidence_interval()))
    assert comparison.pair == (1, 3)
    assert (comparison.only_first, comparison.only_second) == (18, 0)
    assert [group.runs for group in found.groups] == [(0, 1, 2), (3, 4)]
    assert comparison.verdict.startswith("v0 (3 seeds) is better than v3 (2 seeds) by 32 points on average (95%: ")


def test_a_single_run_is_compared_with_the_run_of_the_same_seed_and_the_verdict_names_both():
    runs = [make_run(set(range(number))) for number in (2, 4, 30)]
    comparison = compare(runs, seeds=[0, 1, 1], rates=[0, 0, 1]).comparisons[0]
    assert comparison.pair == (1, 2)
    assert not comparison.over_seeds
    assert (comparison.first, comparison.second) == ("v0 (2 seeds)", "v2")
    assert comparison.verdict.startswith("v1 with seed 1 is better than v2 with seed 1 by 43 points (95%: ")
    other = compare(runs, seeds=[0, 1, 5], rates=[0, 0, 1]).comparisons[0]
    assert other.pair == (0, 2)
    assert other.verdict.startswith("v0 with seed 0 is better than v2 with seed 5")


def test_verdict_does_not_repeat_a_seed_that_is_in_the_name_of_a_run():
    runs = [make_run(set(range(number))) for number in (2, 4, 30)]
    settings = [{"seed_everything": seed, "model.lr": rate} for seed, rate in ((0, 0), (1, 0), (1, 1))]
    verdict = compare_runs(["a_seed0", "a_seed1", "b"], settings, runs).comparisons[0].verdict
    assert verdict.startswith("a_seed1 is better than b with seed 1 by 43 points")


def test_groups_whose_accuracies_do_not_vary_are_compared_by_image():
    runs = [make_run(set(numbers)) for numbers in (range(4), range(1, 5), range(30), range(1, 31))]
    comparison = compare(runs, seeds=[0, 1, 0, 1], rates=[0, 0, 1, 1]).comparisons[0]
    assert not comparison.over_seeds
    assert comparison.p_value == pytest.approx(binomtest(0, 26).pvalue)
    assert comparison.verdict.startswith("v0 with seed 0 is better than v2 with seed 0")


def test_seeds_of_one_group_are_compared_only_if_there_are_two():
    runs = [make_run({1, 2}), make_run({2, 3}), make_run({3})]
    two = compare(runs[:2], seeds=[0, 1], rates=[0, 0])
    assert [group.runs for group in two.groups] == [(0, 1)]
    assert [comparison.pair for comparison in two.comparisons] == [(0, 1)]
    three = compare(runs, seeds=[0, 1, 2], rates=[0, 0, 0])
    assert ([group.runs for group in three.groups], three.comparisons) == ([(0, 1, 2)], [])


def test_up_to_six_runs_are_compared_in_all_pairs_and_more_with_the_first_with_correction():
    runs = [make_run(set(range(3 * number))) for number in range(7)]
    six = compare(runs[:6])
    assert len(six.comparisons) == 15
    note = "as one of several p values can be small by chance, they are corrected by Holm's method, intervals are not"
    assert six.correction == f"15 comparisons, of every two; {note}"
    p_values = [comparison.p_value for comparison in six.comparisons]
    assert [comparison.corrected_p_value for comparison in six.comparisons] == correct_p_values(p_values)
    seven = compare(runs)
    assert [comparison.pair for comparison in seven.comparisons] == [(0, number) for number in range(1, 7)]
    assert seven.correction == f"6 comparisons, each with v0; {note}"
    assert "after correction for 6 comparisons" in seven.comparisons[0].verdict


def test_runs_with_other_images_are_not_compared_and_the_others_are():
    part = make_run({1}).select(np.arange(40))
    found = compare([make_run({1}), part, make_run({2})])
    assert [comparison.pair for comparison in found.comparisons] == [(0, 2)]
    assert found.correction is None
    assert found.problem == (
        "v0 and v1 are not compared, because they were evaluated on different images: 60 and 40, of which 40 are in "
        "common (and 1 more pair)"
    )


def test_single_runs_single_images_and_empty_results_are_compared_without_an_error():
    assert compare([make_run({1})]).comparisons == []
    assert compare([]).comparisons == []
    one = [run.select(np.arange(1)) for run in (make_run({0}), make_run(set()))]
    assert compare(one).comparisons[0].verdict.endswith("is within chance: there is only one image.")
    empty = compare([run.select(np.arange(0)) for run in one]).comparisons[0]
    assert empty.verdict == "There are no images on which v0 and v1 could be compared."
    assert [row.num_images for row in empty.classes] == [0, 0, 0]
    wrong = compare([make_run(set(range(60))), make_run(set())]).comparisons[0]
    assert wrong.difference.value == 1
    assert wrong.verdict.startswith("v1 is better than v0 by 100 points")
