"""Images that occur more than once: groups of equal hashes, and what is printed about them."""

import numpy as np
import pytest
from PIL import Image

from classifier import Digits, ImageFolder
from classifier.data.own_images.repeats import describe_repeats, find_groups


def test_groups_are_the_images_with_equal_hashes_in_order():
    groups = find_groups(np.array([5, -1, 7, 5, 7, 5, 2**62]))
    assert [group.tolist() for group in groups] == [[0, 3, 5], [2, 4]]
    assert find_groups(np.array([], dtype=np.int64)) == []


def describe(hashes, labels, splits):
    """Return the lines about images that are named after their index."""
    return describe_repeats(np.array(hashes), np.array(labels), np.array(splits), ("ant", "bee"), str)


def test_nothing_is_said_about_different_images_and_about_repetitions_within_one_split():
    assert describe([1, 2, 3], [0, 1, 0], ["train", "test", "val"]) == []
    assert describe([1, 1, 2, 2], [0, 0, 1, 1], ["train", "train", "test", "test"]) == []


def test_repetitions_across_splits_and_conflicting_labels_take_one_line_each():
    hashes, labels = [1, 2, 3, 4, 4, 1, 2, 2], [0, 0, 1, 0, 1, 0, 0, 0]
    splits = ["train"] * 5 + ["val", "test", "test"]
    assert describe(hashes, labels, splits) == [
        "1 validation and 2 test images are also in the training set, pixel for pixel, such as 5 (0)",
        "1 image has conflicting labels, such as 3 (ant) and 4 (bee)",
    ]


@pytest.mark.parametrize("has_faults", [True, False])
def test_a_folder_reports_them_when_it_is_read(tmp_path, capsys, has_faults):
    generator = np.random.default_rng(0)
    for name in ("train/ant/1", "train/ant/2", "train/bee/1", "train/bee/2", "test/ant/1", "test/bee/1"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    if has_faults:
        (tmp_path / "test/ant/1.png").write_bytes((tmp_path / "train/ant/1.png").read_bytes())
        (tmp_path / "train/bee/1.png").write_bytes((tmp_path / "train/ant/2.png").read_bytes())
    ImageFolder(str(tmp_path), image_size=8).prepare_data()
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines == has_faults * [
        f"{tmp_path}: 1 test image is also in the training set, pixel for pixel, such as {tmp_path}/test/ant/1.png "
        f"({tmp_path}/train/ant/1.png)",
        f"{tmp_path}: 1 image has conflicting labels, such as {tmp_path}/train/ant/2.png (ant) and "
        f"{tmp_path}/train/bee/1.png (bee)",
    ]


def test_the_datasets_of_the_tutorials_report_nothing(capsys):
    data = Digits()
    data.prepare_data()
    data.setup("fit")
    assert capsys.readouterr().out == ""
