"""The record of the training images of a network, and how a training set differs from it."""

import pytest
import torch
from helpers.file_data import list_hashes, make_data

from classifier import Digits
from classifier.data.dataset import ImageDataset
from classifier.data.sources import ImagesInMemory
from classifier.data.training_record import (
    check_training_set,
    describe_changes,
    describe_decoding,
    describe_evaluation_changes,
    describe_older_split,
    describe_training_set,
    find_trained_images,
    get_decoding,
    load_record,
    make_record,
)
from classifier.errors import UserError


def describe(indices, **attributes):
    """Return the record of a training set with the given training images of Digits."""
    data = make_data(indices={"train": indices}, **attributes)
    data.setup("fit")
    return describe_training_set(data)


def test_record_has_the_sorted_hashes_of_the_training_images_and_is_the_same_after_loading():
    data = make_data()
    assert make_record(data) is None
    data.setup("fit")
    record, checkpoint = make_record(data), {"hyper_parameters": {"image_shape": (1, 8, 8)}}
    assert torch.equal(record.images, list_hashes(list(range(200))))
    record.save(checkpoint)
    assert load_record(checkpoint) == record
    assert load_record({}) is None


def test_data_that_does_not_know_the_hashes_of_its_images_has_no_record():
    data = Digits()
    data.setup("fit")
    assert make_record(data) is None
    assert make_record(None) is None


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([*range(100), 300, 301, 302], "3 images were added to the training set since the checkpoint"),
        (list(range(99)), "1 image was removed from the training set since the checkpoint"),
        ([*range(98), 300, 301, 302], "3 images were added to and 2 removed from the training set since the"),
        ([*range(100), 5], "1 image was added to the training set since the checkpoint"),
        (
            list(range(300, 400)),
            "the training set has none of the 100 images that it had at the checkpoint, check --da",
        ),
        ([*range(99, -1, -1)], "the training set has the same images as at the checkpoint, but in another order or"),
    ],
)
def test_changes_of_a_training_set_are_counted(indices, expected):
    assert describe_changes(describe(list(range(100))), describe(indices)).startswith(expected)


def test_labels_count_as_a_part_of_the_training_set_and_names_and_folders_do_not():
    before = describe(list(range(100)))
    assert describe_changes(before, describe(list(range(100)), folder="moved")) is None
    assert "or with other labels" in describe_changes(before, describe(list(range(100)), relabelled=1))


def test_changes_of_evaluated_images_are_reported_by_split():
    record, data = describe([5, 6]), make_data(indices={"train": [5, 6], "val": [9, 8], "test": [7]})
    assert describe_evaluation_changes(record, data) is None  # not set up
    data.setup("fit")
    assert describe_evaluation_changes(record, data).startswith("the validation and test images have changed since")
    assert describe_evaluation_changes(describe_training_set(data), data) is None
    assert describe_evaluation_changes(None, data) is None


def test_training_set_is_not_compared_without_a_record_or_an_image_data_module():
    data, record = make_data(indices={"train": [500, 501]}), describe(list(range(100)))
    data.setup("fit")
    check_training_set(None, data, "")
    check_training_set(record, None, "")
    with pytest.raises(UserError, match=r"none of the 100 images .*; to train on the new images, .*: fit it$"):
        check_training_set(record, data, "fit it")


def test_image_counts_as_trained_on_only_if_all_its_pixels_are_equal():
    images, labels = Digits().read("train")
    changed = images[:4].clone()
    changed[1, 0, 3, 3] += 1
    record = describe([0, 1, 3])
    found = find_trained_images(ImageDataset(ImagesInMemory(changed), labels[:4], "test"), record)
    assert found.tolist() == [True, False, False, True]


def test_settings_of_the_decoding_that_differ_are_named_unless_the_images_decide_them():
    old = get_decoding({"resize": "letterbox", "max_value": None, "lr": 1}, [3, 32, 32])
    assert old == {"resize": "letterbox", "max_value": None, "image_shape": (3, 32, 32)}
    assert describe_decoding(old, get_decoding({"resize": "letterbox", "max_value": 4095.0}, (3, 32, 32))) is None
    new = get_decoding({"resize": "crop"}, (3, 32, 32))
    assert describe_decoding(old, new) == "resize is crop, and was letterbox in training"
    given = {"max_value": 255.0}, {"max_value": 4095.0}
    assert "max_value is 4095.0" in describe_decoding(*(get_decoding(hparams, None) for hparams in given))


@pytest.mark.parametrize(
    ("given_splits", "val_split", "expected"),
    [
        ({"test"}, 3, "some of the validation images may"),
        (set(), 3, "some of the validation and test images may"),
        (set(), 0, "some of the test images may"),
        ({"test"}, 0, None),
        (None, 3, "some of the validation images may"),
        (None, 0, None),
    ],
    ids=str,
)
def test_split_of_an_older_version_is_reported_for_images_that_have_no_split_of_their_own(
    given_splits, val_split, expected
):
    data = Digits(val_split=val_split)
    if given_splits is not None:  # as in a dataset of files
        data.given_splits = given_splits
    for old in ({}, {"format_version": 2}):
        warning = describe_older_split(old, data)
        assert expected in warning if expected else warning is None
    assert describe_older_split({"format_version": 3}, data) is None
    assert describe_older_split({}, None) is None
