"""Groups of images that are held out together."""

import numpy as np
import pytest

from classifier.data.group_splits import TOP, Groups, choose_sum, hold_out_groups
from classifier.data.splits import assign_splits, get_positions


def make_groups(seed: int, num_groups: int = 12, num_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and positions of about 120 images in groups of random sizes."""
    generator = np.random.default_rng(seed)
    groups = generator.choice(num_groups, 120, p=generator.dirichlet(np.ones(num_groups)))
    return generator.integers(0, num_classes, 120), get_positions([f"{seed}/{group}" for group in groups], "test")


def list_totals(sizes: np.ndarray) -> set[int]:
    """Return all sums of some of the sizes."""
    totals = {0}
    for size in sizes.tolist():
        totals |= {total + size for total in totals}
    return totals


@pytest.mark.parametrize("seed", range(10))
def test_sum_is_the_nearest_of_all_and_takes_the_first_sizes_where_possible(seed):
    sizes = np.random.default_rng(seed).integers(3, 60, 8)
    for target in range(0, int(sizes.sum()) + 5, 7):
        taken = choose_sum(sizes, target)
        assert abs(sizes[taken].sum() - target) == min(abs(total - target) for total in list_totals(sizes))
    assert choose_sum(np.full(9, 4), 12).tolist() == [True] * 3 + [False] * 6
    assert choose_sum(np.array([5, 5, 5]), -3).tolist() == [False] * 3
    assert choose_sum(np.empty(0, np.int64), 3).tolist() == []


def test_sum_of_many_sizes_is_met_without_combining_all_of_them(monkeypatch):
    monkeypatch.setattr("classifier.data.group_splits.WINDOW", 4)
    sizes = np.random.default_rng(0).integers(1, 9, 500)
    taken = choose_sum(sizes, 1000)
    assert sizes[taken].sum() == 1000
    last = int(np.flatnonzero(sizes.cumsum() <= 1000)[-1])
    assert taken[: last - 4].all()
    assert not taken[last + 6 :].any()


@pytest.mark.parametrize("seed", range(20))
def test_number_is_met_as_nearly_as_the_sizes_of_the_groups_allow(seed):
    labels, positions = make_groups(seed)
    sizes = np.unique(positions, return_counts=True)[1]
    for amount in (12, 30, 60):
        chosen, impossible = hold_out_groups(labels, positions, amount, 3, 1)
        assert impossible is None
        groups = Groups(labels, positions, 3, 1)
        held_out = np.isin(groups.positions, positions[chosen])
        assert not groups.count_lacking(held_out).any()
        free = groups.find_free(groups.complete(groups.positions < amount / 120 * TOP)[0])
        fixed = groups.sizes[held_out & ~free].sum()
        nearest = min(abs(fixed + total - amount) for total in list_totals(sizes[free]))
        assert abs(chosen.sum() - amount) == nearest


def test_number_is_in_proportion_to_groups_of_different_classes():
    groups = np.repeat(np.arange(40), 5)
    labels = (groups >= 30).astype(np.int64)
    positions = get_positions([str(group) for group in groups], "test")
    chosen, _ = hold_out_groups(labels, positions, 40, 2, 1)
    assert np.bincount(labels[chosen]).tolist() == [30, 10]


def test_groups_below_the_fraction_are_chosen_whatever_other_groups_there_are():
    labels, positions = make_groups(1, num_groups=40)
    chosen, _ = hold_out_groups(labels, positions, 0.4, 3, 1)
    assert np.array_equal(chosen, positions < int(0.4 * TOP))


@pytest.mark.parametrize("amount", [0.95, 70])
def test_test_set_leaves_groups_of_every_class_for_training_and_validation(amount):
    groups = np.arange(84) // 7
    labels = groups % 3
    keys = [f"group {group}" for group in groups]
    splits = assign_splits([""] * 84, labels, keys, amount, 0.2, ("ant", "bee", "cat"))
    for split in ("train", "val", "test"):
        assert (np.bincount(labels[splits == split], minlength=3) > 0).all()


def test_class_in_one_group_is_named_and_one_in_two_groups_is_split():
    positions = np.array([1, 1, 2, 3, 4, 5])
    assert hold_out_groups(np.array([0, 0, 1, 1, 0, 0]), positions, 2, 2, 2)[1] is None
    assert hold_out_groups(np.array([0, 0, 1, 1, 1, 1]), positions, 2, 2, 2)[1] == 0
