"""Which images are held out of the training set."""

import re

import numpy as np
import pytest
import torch

from classifier.data.splits import (
    assign_splits,
    find_split,
    get_positions,
    hold_out,
    hold_out_unnamed,
    list_splits,
    looks_like_split,
)
from classifier.errors import SettingError

NAMES = ("ant", "bee", "cat")
KNOWN = 34826996894539458  # position of cat/1.jpg


def make_keys(counts) -> tuple[np.ndarray, list[str]]:
    """Return labels and keys of images with the given number in each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return labels, [f"{NAMES[label]}/{i:04}.jpg" for i, label in enumerate(labels)]


def hold_out_keys(labels, keys, amount) -> np.ndarray:
    return hold_out(labels, get_positions(keys, "test"), amount, "test_split", NAMES)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("train", "train"), ("Train", "train"), ("TRAINING", "train"), ("training_set", "train"), ("trn", "train")),
        *(("val", "val"), ("Valid", "val"), ("validation", "val"), ("dev-set", "val"), ("val2017", "val")),
        *(("test", "test"), ("Testing", "test"), ("test1", "test"), ("test data", "test"), ("testset", "test")),
        *(("car", None), ("trained", None), ("testudo", None), ("seg_train", None), ("", None), ("valley", None)),
    ],
)
def test_split_is_recognised_by_its_name(name, split):
    assert find_split(name) == split


@pytest.mark.parametrize(
    ("name", "expected"), [("seg_train", True), ("my test 2", True), ("test1", True), ("contest", False), ("a", False)]
)
def test_name_that_contains_a_split_as_a_word_looks_like_one(name, expected):
    assert looks_like_split(name) == expected


def test_position_of_a_key_depends_on_the_key_and_the_purpose_only():
    both = get_positions(["a", "b", "b", "ä\udcff\ud800"], "test")
    assert both.tolist() == [get_positions([key], "test")[0] for key in ("a", "b", "b", "ä\udcff\ud800")]
    assert (both >= 0).all()
    assert get_positions(["a"], "val")[0] != both[0]
    assert get_positions(["cat/1.jpg"], "test").tolist() == [KNOWN]  # a split must be the same on every machine


def test_image_keeps_its_side_when_others_are_added_or_removed():
    labels, keys = make_keys((80, 60, 60))
    chosen = hold_out_keys(labels, keys, 0.2)
    before = dict(zip(keys, chosen.tolist(), strict=True))
    more_labels = np.concatenate([labels, [0, 1, 2]])
    more_keys = [*keys, "ant/new.jpg", "bee/new.jpg", "cat/new.jpg"]
    after = dict(zip(more_keys, hold_out_keys(more_labels, more_keys, 0.2).tolist(), strict=True))
    assert {key: after[key] for key in keys} == before
    some = np.arange(200) % 3 > 0
    fewer = hold_out_keys(labels[some], [key for key, kept in zip(keys, some, strict=True) if kept], 0.2)
    assert np.array_equal(fewer, chosen[some])


def test_fraction_is_the_probability_of_every_image():
    labels, keys = make_keys((4000, 3000, 3000))
    chosen = hold_out_keys(labels, keys, 0.2)
    shares = [chosen[labels == label].mean() for label in range(3)]
    assert all(abs(share - 0.2) < 0.03 for share in shares), shares  # 4 standard deviations


@pytest.mark.parametrize("amount", [3, 4, 10, 57, 197])
def test_number_is_held_out_exactly_and_in_proportion(amount):
    labels, keys = make_keys((100, 80, 20))
    counts = np.bincount(labels[hold_out_keys(labels, keys, amount)], minlength=3)
    assert counts.sum() == amount
    expected = np.clip(np.array([100, 80, 20]) * amount / 200, 1, [99, 79, 19])
    assert (np.abs(counts - expected) < 1.5).all(), counts


@pytest.mark.parametrize("amount", [0.01, 0.2, 0.99, 3])
@pytest.mark.parametrize("counts", [(2, 2, 2), (18, 2, 3), (50, 2, 2)])
def test_every_class_has_an_image_on_both_sides(counts, amount):
    labels, keys = make_keys(counts)
    chosen = hold_out_keys(labels, keys, amount)
    for mask in (chosen, ~chosen):
        assert (np.bincount(labels[mask], minlength=3) > 0).all()


def test_class_that_cannot_be_on_both_sides_is_named_together_with_the_option():
    labels, keys = make_keys((5, 1, 5))
    for amount in (0.2, 3):
        with pytest.raises(SettingError, match=r"^test_split .* class 'bee' has only one file to split"):
            hold_out_keys(labels, keys, amount)


@pytest.mark.parametrize("amount", [2, 12])
def test_number_that_leaves_a_class_without_images_is_refused(amount):
    labels, keys = make_keys((5, 5, 4))
    with pytest.raises(SettingError, match=rf"^test_split must be from 3 to 11, so that each .*, not {amount}"):
        hold_out_keys(labels, keys, amount)


@pytest.mark.parametrize(
    ("amount", "message"),
    [
        (
            0.001,
            "val_split 0.001 would hold out 0 of 200 images: use at least 0.015, or a number of images from 3 to",
        ),
        (0.999, "val_split 0.999 would hold out 200 of 200 images: use at most 0.985, or a number of images from 3 to"),
    ],
)
def test_fraction_of_images_without_names_that_is_too_small_or_large_is_answered_with_a_valid_one(amount, message):
    labels = torch.arange(200) % 3
    with pytest.raises(SettingError, match=f"^{re.escape(message)}"):
        hold_out_unnamed(labels, amount, "val_split", NAMES)
    valid = float(re.search(r"at \w+ ([\d.]+)", message)[1])
    assert hold_out_unnamed(labels, valid, "val_split", NAMES).sum() in (3, 197)


@pytest.mark.parametrize("seed", range(20))
def test_images_of_a_group_are_never_separated(seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, 120)
    groups = [f"{seed}/{group}" for group in generator.integers(0, 15, 120)]
    for amount in (0.2, 0.02, 30):
        chosen = hold_out_keys(labels, groups, amount)
        sides = {group: {bool(c) for g, c in zip(groups, chosen, strict=True) if g == group} for group in groups}
        assert all(len(side) == 1 for side in sides.values())
        for mask in (chosen, ~chosen):
            assert (np.bincount(labels[mask], minlength=3) > 0).all()


def test_class_in_a_single_group_cannot_be_split():
    labels = np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(SettingError, match="no choice of whole groups was found that has images of the class 'bee'"):
        hold_out_keys(labels, ["a", "b", "c", "c", "d", "e"], 0.2)


@pytest.mark.parametrize(
    ("given", "test_split", "val_split", "expected"),
    [
        ({""}, None, 0, ("train", "test")),
        ({""}, 0.1, 0.1, ("train", "val", "test")),
        ({""}, "all", 0, ("test",)),
        ({"train"}, None, 0, ("train", "test")),
        ({"train", "val"}, None, 0, ("train", "val")),
        ({"train", "val"}, 5, 0, ("train", "val", "test")),
        ({"train", "test"}, 0.3, 4, ("train", "val", "test")),
        ({"test"}, None, 0, ("test",)),
        ({"val", "test"}, None, 0, ("val", "test")),
    ],
)
def test_splits_that_are_announced_are_those_that_are_assigned(given, test_split, val_split, expected):
    assert list_splits(given, test_split, val_split) == expected
    labels, keys = make_keys((20, 20, 20))
    names = sorted(given)
    splits = assign_splits([names[i % len(names)] for i in range(60)], labels, keys, test_split, val_split, NAMES)
    assert set(splits) == set(expected)


def test_given_splits_are_kept_and_validation_images_are_held_out_of_the_training_images():
    labels, keys = make_keys((10, 10, 10))
    given = ["test" if i % 2 else "train" for i in range(30)]
    splits = assign_splits(given, labels, keys, 0.5, 6, NAMES)
    assert [split == "test" for split in splits] == [split == "test" for split in given]
    assert (splits == "val").sum() == 6
    assert np.bincount(labels[splits == "val"]).tolist() == [2, 2, 2]


def test_too_few_images_for_three_splits_are_refused_with_the_option_that_is_too_much():
    labels, keys = make_keys((2, 9, 9))
    with pytest.raises(SettingError, match=re.escape("val_split 0.1 is not possible, because the class 'ant'")):
        assign_splits([""] * 20, labels, keys, 0.1, 0.1, NAMES)


@pytest.mark.parametrize("test_split", [0.999, 0.9, 17])
@pytest.mark.parametrize("val_split", [0.01, 0.999, 3])
def test_large_test_set_leaves_images_of_every_class_for_training_and_validation(test_split, val_split):
    labels, keys = make_keys((3, 9, 30))
    splits = assign_splits([""] * 42, labels, keys, test_split, val_split, NAMES)
    assert all(np.bincount(labels[splits == split], minlength=3).min() > 0 for split in ("train", "val", "test"))
    if isinstance(test_split, int):
        assert (splits == "test").sum() == test_split


def test_number_out_of_range_is_refused_with_the_range_also_for_groups():
    with pytest.raises(SettingError, match=r"^test_split must be from 3 to 6, so that each .*, not 500$"):
        hold_out_keys(np.arange(9) % 3, ["a", "b", "c", "d", "e", "f", "a", "b", "c"], 500)


@pytest.mark.parametrize("seed", range(10))
def test_added_image_moves_only_an_image_that_was_the_only_one_of_its_class_on_its_side(seed):
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), generator.integers(2, 30, 3))
    keys = [f"{seed}/{i}" for i in range(len(labels))]
    amount = [0.02, 0.2, 0.9][seed % 3]
    positions, chosen = get_positions(keys, "test"), hold_out_keys(labels, keys, amount)
    for new in range(30):
        after = hold_out_keys(np.append(labels, 1), [*keys, f"new/{new}"], amount)[:-1]
        moved = np.flatnonzero(after != chosen)
        assert (labels[moved] == 1).all()
        # It was on its side only because its class had no other image there.
        assert all(chosen[i] != (positions[i] < amount * 2**63) for i in moved)
