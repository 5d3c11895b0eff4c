"""Inspection of datasets: a folder with every fault, datasets in memory, and classes that cannot be split."""

import json

import numpy as np
import pytest
import torch
from helpers.photographs import make_photographs, write_faulty_folder
from PIL import Image

from classifier import Digits, ImageFolder, ImageTable
from classifier.analysis.contact_sheet import plot_findings, select_images
from classifier.analysis.description import describe_problems, to_dict, to_text
from classifier.analysis.file_facts import FileFacts
from classifier.analysis.findings import find_problems
from classifier.analysis.inspection import inspect_data
from classifier.data.base import ImageDataModule


@pytest.fixture
def faulty(tmp_path):
    """Return the inspection of a folder with every fault, and its findings."""
    write_faulty_folder(tmp_path / "pets")
    inspection = inspect_data(ImageFolder("pets", image_size=(48, 64)))
    return inspection, find_problems(inspection)


EXPECTED = {
    "data": "ImageFolder pets",
    "image_shape": [3, 48, 64],
    "images": {"train": {"ant": 5, "bee": 4, "fly": 1}, "test": {"ant": 2, "bee": 3, "fly": 0}},
    "files": {
        "widths": [128, 128, 128],
        "heights": [96, 96, 96],
        "aspects": [4 / 3, 4 / 3, 4 / 3],
        "num_enlarged": 0,
        "modes": {"RGB": 15},
    },
    "max_value": None,
    "unused": {"no image format": ["pets/train/ant/notes.txt"], "hidden": ["pets/test/.hidden"]},
    "near_duplicates_are_complete": True,
    "small_classes": {"fly": 1},
    "missing_classes": {"fly": ["test"]},
    "split_problem": None,
    "problems": [
        "unreadable files: 1",
        "validation or test images that are also in the training set: 1",
        "validation or test images with a near duplicate in the training set: 1",
        "images with conflicting labels: 1",
        "classes that are too small: 1",
    ],
}
LEAK = ["test/ant/leak.png", "train/ant/0.png"]
NEAR = ["test/bee/near.jpg", "train/bee/0.png"]
CONFLICT = ["train/ant/1.png", "train/bee/conflict.png"]
TWINS = ["train/ant/2.png", "train/ant/twin.png"]


def test_every_planted_fault_is_described_exactly(faulty):
    found = json.loads(json.dumps(to_dict(*faulty)))  # as a script reads it
    assert {key: found[key] for key in EXPECTED} == {**EXPECTED, "unused": found["unused"]}
    assert {reason: sorted(names) for reason, names in found["unused"].items()} == EXPECTED["unused"]

    def list_names(key):
        return [[image["image"].removeprefix("pets/") for image in images] for images in found[key]]

    assert [message.partition(" cannot")[0] for message in found["unreadable"]] == ["pets/train/ant/broken.jpg"]
    assert list_names("duplicates") == [LEAK[::-1], CONFLICT, TWINS]
    assert list_names("near_duplicates") == [NEAR[::-1]]
    assert list_names("leaks") == [LEAK]
    assert list_names("near_leaks") == [NEAR]
    assert list_names("conflicts") == [CONFLICT]
    assert found["near_conflicts"] == []
    assert found["leaks"][0][0] == {"image": "pets/test/ant/leak.png", "class": "ant", "split": "test"}
    rest = {"unreadable", "duplicates", "near_duplicates", "leaks", "near_leaks", "conflicts", "near_conflicts"}
    assert set(found) == {*EXPECTED, *rest, "darkest", "brightest"}


def test_the_text_has_one_screen_and_names_every_fault(faulty):
    lines = to_text(*faulty).splitlines()
    assert len(lines) <= 40
    for line in (
        "ImageFolder pets: 15 images in 3 classes, decoded to 64x48 pixels and 3 channels",
        "class         train      test       all",
        "fly               1         0         1",
        "ant               5         2         7",
        "all              10         5        15",
        "files not used (no image format): 1",
        "exact duplicates of other images: 3",
        "  pets/test/ant/leak.png (ant) = pets/train/ant/0.png (ant)",
        "  pets/test/bee/near.jpg (bee) ~ pets/train/bee/0.png (bee)",
        "  pets/train/ant/1.png (ant) = pets/train/bee/conflict.png (bee)",
        "  fly: 1 image, none in test",
    ):
        assert line in lines


def test_the_contact_sheet_shows_the_first_of_each_kind_with_pairs_next_to_each_other(faulty):
    inspection, findings = faulty
    selected = [(kind, [inspection.get_name(i)[5:] for i in images]) for kind, images in select_images(*faulty)]
    assert selected == [
        ("same image,\ntwo splits", LEAK),
        ("similar image,\ntwo splits", NEAR),
        ("same image,\ntwo classes", CONFLICT),
        ("same image,\ntwo files", TWINS),
        ("class with\nfew images", ["train/fly/0.png"]),
    ]
    captions = [text.get_text() for text in plot_findings(inspection, findings).axes[0].texts][1:]
    assert captions[:2] == [
        "ant\nsame image,\ntwo splits\ntest\nleak.png",
        "ant\nsame image,\ntwo splits\ntrain\n0.png",
    ]
    assert len(captions) == 9


@pytest.mark.usefixtures("faulty")
def test_a_second_inspection_decodes_nothing(monkeypatch):
    decoded = []
    monkeypatch.setattr("classifier.data.sources.decode", lambda path, _: decoded.append(path))
    with pytest.raises(AttributeError):  # of the broken file, which is tried again
        inspect_data(ImageFolder("pets", image_size=(48, 64)))
    assert decoded == ["pets/train/ant/broken.jpg"]


def test_classes_too_small_to_be_split_are_described(tmp_path):
    photographs = make_photographs(4, 32, 32)
    for name, pixels in zip(("ant/0", "ant/1", "ant/2", "bee/0"), photographs, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    inspection = inspect_data(ImageFolder(str(tmp_path)))
    findings = find_problems(inspection)
    assert inspection.split_problem.startswith("test_split 0.2 is not possible, because the class 'bee' has only one")
    assert inspection.splits.tolist() == ["train"] * 4
    assert findings.small_classes == {"bee": 1}
    assert describe_problems(inspection, findings) == [
        "classes that are too small: 1",
        "splits that are not possible: 1",
    ]


def test_sizes_kinds_of_pixels_and_intensities_of_a_table(tmp_path):
    rows = []
    for i, (width, height) in enumerate([(40, 20), (10, 20), (30, 90), (60, 60)]):
        pixels = np.full((height, width), 1000 * i, np.uint16) if i % 2 else np.full((height, width), 200, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]},{'train' if i < 2 else 'val'}")
    (tmp_path / "table.csv").write_text("\n".join(["path,label,split", *rows]))
    inspection = inspect_data(ImageTable(str(tmp_path / "table.csv"), image_size=32, resize="stretch"))
    assert inspection.files == FileFacts((10, 35, 60), (20, 40, 90), (1 / 3, 0.75, 2.0), 1, {"L": 2, "I;16": 2})
    assert (inspection.darkest, inspection.brightest, inspection.max_value) == (200, 255, 1023)
    assert find_problems(inspection).near == []


class Copies(ImageDataModule):
    """Training images of a notebook, whose test set is a part of them."""

    image_shape = (3, 16, 16)
    class_names = ("ant", "bee")

    def read(self, split):
        images = torch.from_numpy(make_photographs(6, 16, 16)).permute(0, 3, 1, 2).contiguous()
        labels = torch.tensor([0, 0, 0, 1, 1, 1])
        return (images, labels) if split == "train" else (images[2:4], torch.tensor([1, 1]))


def test_images_in_memory_are_named_by_split_and_index():
    inspection = inspect_data(Copies())
    found = to_dict(inspection, find_problems(inspection))
    assert [[image["image"] for image in pair] for pair in found["leaks"]] == [
        ["test #0", "train #2"],
        ["test #1", "train #3"],
    ]
    assert [[image["class"] for image in pair] for pair in found["conflicts"]] == [["ant", "bee"]]
    assert found["images"] == {"train": {"ant": 3, "bee": 3}, "test": {"ant": 0, "bee": 2}}
    assert found["missing_classes"] == {"ant": ["test"]}


def test_digits_have_no_faults_and_without_findings_there_is_no_picture():
    inspection = inspect_data(Digits())
    findings = find_problems(inspection)
    assert describe_problems(inspection, findings) == []
    assert len(inspection.labels) == 1797
    assert inspection.files is None
    assert inspection.near.tolist() == [[31, 246]]  # two of a class that are very much alike
    findings.near = []
    assert plot_findings(inspection, findings) is None


def test_the_text_about_a_thousand_classes_shows_the_smallest_ones():
    labels = np.concatenate([np.full(3 + label % 7, label) for label in range(1000)])
    inspection = inspect_data(Digits())
    inspection.class_names = tuple(f"class {label}" for label in range(1000))
    inspection.labels = labels
    inspection.splits = np.full(len(labels), "train")
    inspection.sources = {"train": inspection.sources["train"]}
    inspection.hashes = np.arange(len(labels))
    inspection.unreadable = [f"{i}.png is not an image" for i in range(1000)]
    lines = to_text(inspection, find_problems(inspection)).splitlines()
    assert len(lines) <= 40
    assert "990 more classes, with 3 to 9 images" in lines
    assert "unreadable files: 1,000" in lines
