"""The base of all datasets: splits, options and checks of what a subclass reads."""

from pathlib import Path

import pytest
import torch

from classifier import CIFAR10, MLP, Digits, FashionMNIST, ImageDataModule


@pytest.mark.parametrize("data", [FashionMNIST(), CIFAR10(), Digits()], ids=lambda data: type(data).__name__)
def test_image_shape_and_classes_are_known_before_any_file_is_read(data):
    assert len(data.image_shape) == 3
    assert data.num_classes == len(data.class_names) == 10
    assert not data.datasets


def test_validation_images_are_the_same_for_every_seed_and_are_not_trained_on():
    splits = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        data = Digits(val_split=200)
        assert data.has_validation_images
        data.setup("fit")
        splits.append({split: dataset[:][0] for split, dataset in data.datasets.items()})
    assert torch.equal(splits[0]["val"], splits[1]["val"])
    assert {split: len(images) for split, images in splits[0].items()} == {"train": 1237, "val": 200, "test": 360}
    unsplit = Digits()
    assert not unsplit.has_validation_images
    unsplit.setup("fit")
    parts = torch.cat([splits[0]["train"], splits[0]["val"]]).flatten(1).tolist()
    assert sorted(parts) == sorted(unsplit.datasets["train"][:][0].flatten(1).tolist())


class Recorded(ImageDataModule):
    """A dataset that records which splits are read; each split has its own number of images and its own pixels."""

    image_shape, class_names = (1, 8, 8), ("a", "b")
    counts = {"train": 12, "val": 4, "test": 6}  # noqa: RUF012

    def read(self, split):
        self.read_splits = [*getattr(self, "read_splits", []), split]
        count = self.counts[split]
        return torch.full((count, 1, 8, 8), count, dtype=torch.uint8), torch.arange(count) % 2


class WithValidation(Recorded):
    """A dataset with validation images of its own."""

    splits = ("train", "val", "test")


class WithoutTest(Recorded):
    """A dataset without test images."""

    splits = ("train", "val")


@pytest.mark.parametrize(
    ("data_class", "stage", "read_splits"),
    [
        (Recorded, "fit", ["train", "test"]),
        (Recorded, "validate", ["train"]),
        (Recorded, "test", ["test"]),
        (WithValidation, "fit", ["train", "val", "test"]),
        (WithValidation, "validate", ["train", "val"]),
        (WithValidation, "test", ["test"]),
        (WithoutTest, "fit", ["train", "val"]),
    ],
)
def test_each_stage_reads_only_its_splits_and_each_of_them_once(data_class, stage, read_splits):
    data = data_class() if "val" in data_class.splits else data_class(val_split=3)
    data.setup(stage)
    data.setup(stage)
    assert data.read_splits == read_splits


def test_validation_images_of_the_data_set_are_used_in_place_of_held_out_ones(make_trainer):
    data = WithValidation()
    assert data.has_validation_images
    model = MLP(image_shape=(1, 8, 8), num_classes=2)
    make_trainer().fit(model, data)
    for split, count in data.counts.items():
        images, labels = data.datasets[split][:]
        assert torch.equal(images, torch.full((count, 1, 8, 8), count, dtype=torch.uint8))
        assert labels.tolist() == [0, 1] * (count // 2)
        assert model.get_metrics(split).compute()["num_images"] == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be above 0, not 0"),
        ({"test_batch_size": -1}, "test_batch_size must be above 0, not -1"),
        ({"val_split": -1}, "val_split must be a number of images, or a fraction below 1, not -1"),
        ({"batch_size": "many"}, "batch_size must be above 0, not many"),
        ({"flip": "up"}, "flip must be none, random or alternating, not up"),
        ({"shift": -1}, "shift must be at least 0, not -1"),
        ({"cutout": -1}, "cutout must be at least 0, not -1"),
    ],
)
def test_options_out_of_range_are_refused_by_the_constructor(options, message):
    with pytest.raises(ValueError, match=message):
        Digits(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": 8}, "shift must be below 8, not 8"),
        (
            {"val_split": 1428},
            "val_split must be from 10 to 1,427, so that each of the 10 classes has an image on both",
        ),
    ],
)
def test_options_that_do_not_fit_the_images_are_refused_by_setup(options, message):
    with pytest.raises(ValueError, match=message):
        Digits(**options).setup("fit")


@pytest.mark.parametrize(("val_split", "expected"), [(144, 144), (0.1, 144), (0.25, 359)])
def test_validation_images_are_the_same_for_every_seed_and_in_proportion_to_the_classes(val_split, expected):
    images = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        data = Digits(val_split=val_split)
        data.setup("fit")
        assert len(data.datasets["val"]) == expected
        assert len(data.datasets["train"]) == 1437 - expected
        images.append(data.datasets["val"][:][0])
        everything = torch.cat([data.datasets[split].labels for split in ("train", "val")]).bincount()
        counts = data.datasets["val"].labels.bincount()
        assert ((counts - everything * expected / 1437).abs() < 1).all()
    assert torch.equal(*images)


def test_a_path_object_as_root_becomes_a_string():
    assert Digits(root=Path("data")).hparams.root == "data"


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.zeros(4).long(), "5 images and 4 labels"),
        (torch.zeros(0, 1, 8, 8, dtype=torch.uint8), torch.zeros(0).long(), "no images"),
        (torch.zeros(5, 1, 8, 8), torch.zeros(5).long(), "torch.float32, not"),
        (torch.zeros(5, 3, 8, 8, dtype=torch.uint8), torch.zeros(5).long(), r"images \(3, 8, 8\)"),
        (torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.full((5,), 10), "labels beyond 0 to 9"),
    ],
    ids=["counts", "empty", "type", "shape", "labels"],
)
def test_images_and_labels_that_contradict_the_class_attributes_are_refused(monkeypatch, images, labels, problem):
    monkeypatch.setattr(Digits, "read", lambda _self, _split: (images, labels))
    with pytest.raises(ValueError, match=f"training set of Digits has .*{problem}"):
        Digits().setup("fit")


def test_the_refusal_names_the_split_with_the_problem(monkeypatch):
    monkeypatch.setitem(WithValidation.counts, "val", 0)
    with pytest.raises(ValueError, match="the validation set of WithValidation has no images"):
        WithValidation().setup("fit")


def test_val_split_is_refused_for_a_dataset_with_its_own_validation_images():
    with pytest.raises(ValueError, match="WithValidation has its own validation images: leave out val_split"):
        WithValidation(val_split=3).setup("fit")
