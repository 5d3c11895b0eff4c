"""How the user's folder is organised: recognised or refused, never misread."""

import re
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from classifier.data.own_images.layout import check_class_names, find_layout
from classifier.errors import UserError


def make_tree(root: Path, *names: str) -> Path:
    """Write small image files, files that end in another way, and folders, whose names end in "/"."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif path.suffix == ".png":
            Image.new("L", (4, 4)).save(path)
        else:
            path.touch()
    return root


def describe(root: Path) -> tuple[tuple[str, ...], dict[str, str], tuple[str, ...]]:
    """Return the class names, the folder of every split relative to the root, and the unused folders."""
    layout = find_layout(root)
    folders = {split: str(path.relative_to(root)) for split, path in layout.folders.items()}
    return layout.class_names, folders, layout.unused


@pytest.mark.parametrize(
    ("names", "folders", "unused"),
    [
        (["a/1.png", "b/1.png"], {"": "."}, ()),
        (["train/a/1.png", "train/b/1.png", "test/a/1.png"], {"train": "train", "test": "test"}, ()),
        (["Train/a/1.png", "Train/b/1.png", "Test/b/1.png"], {"train": "Train", "test": "Test"}, ()),
        (["training/a/1.png", "training/b/1.png", "testing/b/1.png"], {"train": "training", "test": "testing"}, ()),
        (["TRAIN/a/1.png", "TRAIN/b/1.png", "valid/a/1.png"], {"train": "TRAIN", "val": "valid"}, ()),
        (
            [f"{split}/{name}/1.png" for split in ("train", "validation", "test_set") for name in "ab"],
            {"train": "train", "val": "validation", "test": "test_set"},
            (),
        ),
        (["train/a/1.png", "train/b/1.png", "raw/1.txt", "old/x/1.png"], {"train": "train"}, ("old", "raw")),
        (["train/a/1.png", "train/b/1.png", "test_labels/1.png"], {"train": "train"}, ("test_labels",)),
        (["train/a/1.png", "train/b/1.png", "test/", "labels.csv"], {"train": "train"}, ("test",)),
        (["test/a/1.png", "test/b/1.png"], {"test": "test"}, ()),
    ],
)
def test_split_folders_are_recognised_in_their_usual_variants(tmp_path, names, folders, unused):
    make_tree(tmp_path, *names)
    assert describe(tmp_path) == (("a", "b"), folders, unused)


@pytest.mark.parametrize(
    "names",
    [["car/1.png", "train/1.png", "bus/1.png"], ["valid/1.png", "invalid/1.png"], ["test/1.png", "control/1.png"]],
)
def test_class_with_the_name_of_a_split_is_a_class_among_others(tmp_path, names):
    make_tree(tmp_path, *names)
    assert describe(tmp_path) == (tuple(sorted(Path(name).parent.name for name in names)), {"": "."}, ())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train/1.png", "test1/1.png"], "folders test1, train in {root} look like training and test images"),
        (["train/1.png", "test/1.png"], "look like training and test images, but are not organised as train/<class>/"),
        (["seg_train/a/1.png", "seg_test/a/1.png"], "folders seg_test, seg_train in {root} look like"),
        (["train/1.png", "test/1.png", "docs/a.txt"], "folders test, train in {root} look like"),
        (["train/a/1.png", "train/b/1.png", "test/1.png"], "{root}/test contains images, but no class folders"),
        (
            ["train/a/1.png", "train/b/1.png", "Train/a/1.png"],
            "two folders for the same set of images: Train and train",
        ),
        (["val/a/1.png", "valid/b/1.png", "train/a/1.png"], "two folders for the same set of images: val and valid"),
        (["a/train/1.png", "a/test/1.png", "b/train/1.png"], "{root}/a contains test and train: the folders must be"),
        (["train/a/1.png", "train/b/1.png", "test/c/1.png"], "{root}/test has classes that {root}/train does not have"),
        (["car/1.png", "bus/1.png", "train/a/1.png", "train/b/1.png"], "such as bus, next to train/, which contains"),
        (
            ["a/1.png", "b/1.png", "test/a/1.png", "test/b/1.png"],
            "such as a, next to test/, which contains class",
        ),
        (["train/a/1.png", "train/b/1.png", "more/a/1.png", "more/b/1.png"], "{root}/more contains class folders, but"),
        (
            ["train/a/1.png", "test/a/1.png"],
            "{root}/train must contain folders of two or more classes; there is only a/",
        ),
        (["a/1.png"], "{root} must contain folders of two or more classes; there is only a/"),
        (["pets/a/1.png", "pets/b/1.png"], "did you mean --data.root {root}/pets?"),
        (["pets/train/a/1.png", "pets/test/a/1.png", "__MACOSX/pets/._1.png"], "did you mean --data.root {root}/pets?"),
        (["trainval/a/1.png", "test/a/1.png", "test/b/1.png"], "{root}/trainval contains class folders, but its name"),
        (["train/a/1.png", "train/b/1.png", "eval/a/1.png"], "{root}/eval contains class folders, but its name is"),
        (["trainA/1.png", "trainB/1.png"], "folders trainA, trainB in {root} look like"),
        (["train/1.png", "evaluation/1.png"], "folders evaluation, train in {root} look like"),
        (["fold1/a/1.png", "fold2/a/1.png"], "folders fold1, fold2 in {root} look like"),
        (["pets/train/a/1.png"], "did you mean --data.root {root}/pets?"),
        (["1.png", "2.png"], "{root} must contain folders of two or more classes: organise it as train/<class>/"),
    ],
)
def test_folder_that_cannot_be_read_as_such_is_refused_with_what_would_be_right(tmp_path, names, message):
    make_tree(tmp_path, *names)
    with pytest.raises(UserError, match=re.escape(message.format(root=tmp_path))):
        find_layout(tmp_path)


def test_missing_root_is_called_missing_with_the_folder_that_it_was_searched_in(tmp_path):
    with pytest.raises(UserError, match=rf"^there is no folder pets in {tmp_path}: set --data.root"):
        find_layout(Path("pets"))
    with pytest.raises(UserError, match=rf"^there is no folder {tmp_path}/pets: set --data.root"):
        find_layout(tmp_path / "pets")


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\udcff", "a\u202eb", "\u2028", "  "])
def test_class_name_that_cannot_be_shown_is_refused(name):
    with pytest.raises(UserError, match=r"^pets: rename the class .* must be printable"):
        check_class_names(["cat", name], "pets")


@pytest.mark.parametrize(
    "name", ["größe", "=1+1", "-rf", "$x_1$", "%s {0}", "👩\u200d🔬", "a" * 255, "a.", "CON", "a,b;c"]
)
def test_class_name_may_have_all_other_characters(name):
    check_class_names(["cat", name], "pets")


def test_class_names_are_compared_after_unicode_normalisation(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    make_tree(tmp_path, f"train/{composed}/1.png", "train/b/1.png", f"test/{decomposed}/1.png")
    layout = find_layout(tmp_path)
    assert layout.class_names == ("b", composed)
    assert layout.classes["test"] == {composed: tmp_path / "test" / decomposed}
    make_tree(tmp_path, f"train/{decomposed}/1.png")
    with pytest.raises(UserError, match="have the same name in Unicode: merge them"):
        find_layout(tmp_path)
