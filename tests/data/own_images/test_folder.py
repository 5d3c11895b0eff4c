"""Datasets made of the user's own folders."""

import os
import re
import shutil
from unittest.mock import Mock
from urllib.error import URLError

import pytest
import torch
from PIL import Image

from classifier import MLP, ImageFolder
from classifier.data.content_hashes import hash_images
from classifier.data.image_files.decoding import read_image
from classifier.data.own_images.cache import DiskCache
from classifier.data.own_images.cached_source import ImagesInCache
from classifier.data.own_images.contents import load_contents
from classifier.data.sources import ImagesInFiles, ImagesInMemory
from classifier.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")

FIT_FILES = (
    *("fit", "--data", "ImageFolder", "--data.image_size=8", "--data.cache=0"),
    *("--pictures=false", "--trainer.max_epochs=1"),
)


def open_folder(root, **options) -> ImageFolder:
    data = ImageFolder(str(root), image_size=8, **options)
    data.setup("fit")
    return data


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_labels_and_images_of_one_shape_are_read_from_the_folders(split_root, channels):
    data = ImageFolder(str(split_root), image_size=8, channels=channels)
    assert (data.class_names, data.num_classes) == (("Zebra", "ant", "cat"), 3)
    assert data.image_shape == (channels, 8, 8)
    data.setup("fit")
    for split, count in (("train", 12), ("test", 5)):
        dataset = data.datasets[split]
        assert dataset.labels.tolist() == [label for label in range(3) for _ in range(count)]
        files = sorted((split_root / split / "ant").glob("*.[pjb]*"))
        expected = torch.stack([read_image(file, data.image_shape) for file in files])
        assert torch.equal(dataset[count : 2 * count][0], expected)


def test_unsplit_class_folders_always_get_the_same_split(plain_root):
    data = open_folder(plain_root, test_split=8)
    counts = [torch.bincount(data.datasets[split].labels).tolist() for split in ("train", "test")]
    assert counts == [[6, 15, 3], [2, 5, 1]]
    again = open_folder(plain_root, test_split=8)
    assert torch.equal(again.datasets["test"][:][0], data.datasets["test"][:][0])
    images = torch.cat([data.datasets[split][:][0] for split in ("train", "test")])
    files = [file for name in data.class_names for file in sorted((plain_root / name).iterdir())]
    expected = torch.stack([read_image(file, data.image_shape) for file in files])
    assert torch.equal(images.flatten(1).unique(dim=0), expected.flatten(1).unique(dim=0))


def list_names(data, split, root) -> set[str]:
    """Return the names of the images of a split, relative to a folder."""
    dataset = data.datasets[split]
    return {os.path.relpath(dataset.name(i), root) for i in range(len(dataset))}


def test_images_stay_in_their_split_when_others_are_added_and_when_the_root_is_renamed(plain_root):
    before = open_folder(plain_root, val_split=0.2)
    names = {split: list_names(before, split, plain_root) for split in before.datasets}
    moved = plain_root.rename(plain_root.with_name("animals"))
    for name in ("ant", "bee", "cat"):
        shutil.copy(moved / name / "00.png", moved / name / "new.png")
    after = open_folder(moved, val_split=0.2)
    new = {f"{name}/new.png" for name in ("ant", "bee", "cat")}
    assert {split: list_names(after, split, moved) - new for split in after.datasets} == names


def test_validation_folder_is_used_and_without_a_test_folder_evaluated_in_its_place(split_root, run):
    (split_root / "test").rename(split_root / "Valid")
    options = ("--data.root", split_root, "--data.image_size", "8", "--pictures=false", "--trainer.max_epochs=1")
    printed = run("fit", "--data", "ImageFolder", *options)
    assert printed.startswith(
        f"{split_root}: 51 images in 3 classes (36 training, 15 validation); no test images, so the validation images "
        "are evaluated in their place; not used: "
    )
    assert "val loss" in printed
    assert "test loss" not in printed
    assert "(15 images)" in run("test", "--ckpt_path", "best")


def test_validation_images_are_evaluated_once_per_epoch_also_after_a_test(split_root, make_trainer):
    (split_root / "test").rename(split_root / "val")
    data, model = ImageFolder(str(split_root), image_size=8), MLP(image_shape=(3, 8, 8), num_classes=3)
    make_trainer().test(model, data, verbose=False)
    make_trainer().fit(model, data)
    assert model.evaluated_splits == ["val"]


def test_training_images_are_known_by_the_hashes_of_their_pixels(plain_root):
    for cache, limit in ((1000, 10_000), (0, 10_000), (0, 0)):
        data = open_folder(plain_root, cache=cache, cache_limit=limit, test_split=6)
        hashes = hash_images(data.datasets["train"][:][0])
        assert torch.equal(data.training_images, hashes.sort().values)
        assert torch.equal(data.datasets["train"].source.get_hashes(), hashes)


def test_all_three_split_folders_are_used(split_root):
    shutil.copytree(split_root / "test", split_root / "validation")
    data = open_folder(split_root)
    assert {split: len(dataset) for split, dataset in data.datasets.items()} == {"train": 36, "val": 15, "test": 15}


def test_test_split_has_no_effect_next_to_test_images_and_this_is_printed(split_root, capsys):
    open_folder(split_root, test_split=0.5)
    assert "(36 training, 15 test); test_split has no effect, because there are test images;" in capsys.readouterr().out


def test_val_split_has_no_effect_next_to_validation_images_and_this_is_printed(split_root, capsys):
    (split_root / "test").rename(split_root / "val")
    data = open_folder(split_root, val_split=0.2)
    assert {split: len(dataset) for split, dataset in data.datasets.items()} == {"train": 36, "val": 15}
    assert "val_split has no effect, because there are validation images;" in capsys.readouterr().out


def test_recipe_photos_needs_only_the_folder_and_stops_when_validation_accuracy_stalls(plain_root, run, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", Mock(side_effect=URLError("no connection")))
    small = ("--data.image_size=16", "--model.name=shufflenet_v2_x0_5", "--model.lr=1e-9", "--pictures=false")
    printed = run("fit", "--config=photos", "--data.root", plain_root, *small, "--trainer.callbacks.patience=1")
    assert "shufflenet_v2_x0_5 is trained from scratch" in printed
    assert "epoch 2/8" in printed
    assert "epoch 3/8" not in printed
    assert "best.ckpt" in run("test", "--ckpt_path=best")


def test_folder_can_be_evaluated_in_full(plain_root, run, fail):
    options = ("--data.image_size", "8", "--pictures=false", "--trainer.max_epochs=1", "--data.test_split", "8")
    run("fit", "--data", "ImageFolder", "--data.root", plain_root, *options)
    printed = run("test", "--ckpt_path", "last")
    assert "8 of 32 images are held out and evaluated; --data.test_split all evaluates all of them" in printed
    printed = run("test", "--ckpt_path", "last", "--data.test_split", "all")
    assert f"{plain_root}: 32 images in 3 classes (32 test)" in printed
    assert "(32 images)" in printed
    assert "held out" not in printed
    status, line = fail("fit", "--data", "ImageFolder", "--data.root", plain_root, "--data.test_split", "all")
    assert status == 2
    assert line.endswith("test_split all makes every image a test image, for the command test: leave it out")


def test_folder_with_some_of_the_classes_can_be_evaluated_with_the_labels_of_the_checkpoint(plain_root, run, fail):
    options = ("--data.image_size", "8", "--pictures=false", "--trainer.max_epochs=1", "--data.test_split", "8")
    run("fit", "--data", "ImageFolder", "--data.root", plain_root, *options)
    shutil.copytree(plain_root / "cat", "new/cat")
    everything = run("test", "--ckpt_path", "last", "--data.test_split", "all")
    some = run("test", "--ckpt_path", "last", "--data.root", "new", "--data.test_split", "all")
    accuracies = [re.search(r"cat +([\d.]+%)", text)[1] for text in (everything, some)]
    assert accuracies[0] == accuracies[1]
    assert "(4 images)" in some
    shutil.copytree(plain_root / "ant", "new/ant")
    assert "3 of 12 images are held out" in run(
        "test", "--ckpt_path", "last", "--data.root", "new", "--data.test_split", 3
    )
    shutil.copytree(plain_root / "cat", "new/dog")
    status, error = fail("test", "--ckpt_path", "last", "--data.root", "new", "--data.test_split", "all")
    assert (status, "new has classes that are not in the list of classes: dog" in error) == (1, True), error


def test_files_that_are_not_used_are_counted_by_reason(split_root, capsys):
    (split_root / "old/ant").mkdir(parents=True)
    (split_root / "labels.csv").touch()
    (split_root / "train/1.png").touch()
    (split_root / "test/ant/more").symlink_to(split_root / "test/ant")
    open_folder(split_root)
    assert (
        capsys.readouterr()
        .out.rstrip()
        .endswith(
            "not used: 2 (not in a class folder: labels.csv, train/1.png), 1 (hidden: train/.hidden), "
            "1 (folder of no split: old), 1 (no image format: train/ant/notes.txt), "
            "1 (folder that is already read: test/ant/more)"
        )
    )


def test_empty_class_folder_is_treated_as_a_missing_one_except_in_the_training_set(split_root, capsys, fail):
    for file in (split_root / "test/ant").iterdir():
        file.unlink()
    lines = []
    for _ in range(2):
        assert open_folder(split_root).datasets["test"].labels.unique().tolist() == [0, 2]
        lines.append(capsys.readouterr().out)
        shutil.rmtree(split_root / "test/ant", ignore_errors=True)
    assert "(36 training, 10 test); no test images of the class ant; not used: " in lines[0]
    assert lines[0] == lines[1]
    for file in (split_root / "test").glob("*/*.*"):
        file.unlink()
    status, line = fail("fit", "--data", "ImageFolder", "--data.root", split_root)
    assert (status, line.endswith(f"the class folders in {split_root}/test contain no images")) == (1, True), line


def test_broken_files_are_skipped_on_request_and_named(split_root, capsys):
    (split_root / "train/ant/00.png").write_text("no image")
    (split_root / "test/cat/02.bmp").write_text("no image")
    for cache in (100, 100, 0):  # also from the cache
        data = open_folder(split_root, skip_broken=True, cache=cache)
        assert {split: len(dataset) for split, dataset in data.datasets.items()} == {"train": 35, "test": 14}
        assert data.datasets["train"].labels.bincount().tolist() == [12, 11, 12]
        index = len(data.datasets["train"]) - 1
        image = read_image(data.datasets["train"].name(index), data.image_shape)
        assert torch.equal(data.datasets["train"][index][0], image)
        assert "2 of 51 files cannot be decoded and are skipped: " in capsys.readouterr().out
    with pytest.raises(UserError, match=r"repair or remove 2 of 51 files, or set --data.skip_broken true: "):
        open_folder(split_root)


def test_class_without_a_readable_test_image_is_reported(split_root, capsys):
    for file in (split_root / "test/cat").iterdir():
        file.write_text("no image")
    open_folder(split_root, skip_broken=True)
    assert "no test image of these classes can be read: cat" in capsys.readouterr().out


def test_intensity_range_of_the_user_is_kept_for_images_with_8_bits(plain_root):
    data = open_folder(plain_root, max_value=4095.0)
    assert (data.hparams.max_value, data.decoding.max_value) == (4095.0, 4095.0)


def test_class_whose_training_images_are_all_broken_is_refused(split_root):
    for file in (split_root / "train/ant").glob("*.*"):
        file.write_text("no image")
    with pytest.raises(UserError, match="the class 'ant' has no training image that can be read"):
        open_folder(split_root, skip_broken=True)


@pytest.mark.parametrize("level", [5, 250])
def test_images_that_are_all_nearly_black_or_white_are_reported(tmp_path, level):
    for name in ("a", "b"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (8, 8), level + i).save(tmp_path / "pets" / name / f"{i}.png")
    with pytest.warns(
        UserWarning, match=f"all images are nearly {'black' if level == 5 else 'white'}: .* from {level}"
    ):
        open_folder(tmp_path / "pets", test_split=2)


@pytest.mark.parametrize("min_files", [1000, 1], ids=["in this process", "with workers"])
def test_training_on_images_in_memory_in_the_cache_and_in_files_gives_the_same_weights(
    split_root, make_trainer, monkeypatch, min_files
):
    monkeypatch.setattr("classifier.data.sources.MIN_FILES_FOR_WORKERS", min_files)
    weights = []
    limits = {ImagesInMemory: (1, 1), ImagesInCache: (0, 1), ImagesInFiles: (0, 0)}
    for kind, (cache, cache_limit) in limits.items():
        torch.manual_seed(0)
        options = {"cache": cache, "cache_limit": cache_limit, "val_split": 6, "batch_size": 7}
        data = ImageFolder(str(split_root), image_size=8, cache_dir=kind.__name__, **options)
        model = MLP(image_shape=(3, 8, 8), num_classes=3)
        make_trainer(max_epochs=2).fit(model, data)
        weights.append(model.state_dict())
        assert all(type(dataset.source) is kind for dataset in data.datasets.values())
        assert {split: len(dataset) for split, dataset in data.datasets.items()} == {"val": 6, "train": 30, "test": 15}
    assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in other)


def test_all_damaged_files_are_named_in_one_error_before_training(split_root):
    for name in ("train/ant/00.png", "test/cat/02.bmp"):
        (split_root / name).write_text("no image")
    cut = split_root / "train/cat/04.jpg"
    cut.write_bytes(cut.read_bytes()[:-50])
    message = r"repair or remove 3 of 51 files, or set .*: .*ant/00\.png is not.*cat/04\.jpg.*cat/02\.bmp is not"
    for cache in (1000, 0):
        with pytest.raises(UserError, match=message):
            ImageFolder(str(split_root), cache=cache).prepare_data()
    assert not (split_root / ".cache").exists()


def test_of_many_damaged_files_the_first_are_named_and_the_others_counted(split_root):
    for file in [*(split_root / "train/ant").glob("*.*"), *(split_root / "train/cat").glob("*.*")]:
        file.write_text("no image")
    with pytest.raises(UserError, match=r"remove 24 of 51 files.*ant/00\.png is .*; and 4 more$") as error:
        ImageFolder(str(split_root)).prepare_data()
    assert str(error.value).count("is not an image") == 20


@pytest.mark.parametrize("min_files", [1000, 1], ids=["in this process", "with workers"])
def test_a_file_that_is_damaged_during_training_is_named_in_a_one_line_error(split_root, fail, monkeypatch, min_files):
    monkeypatch.setattr("classifier.data.sources.MIN_FILES_FOR_WORKERS", min_files)
    cut = split_root / "train/cat/04.jpg"

    def load_and_damage(*args, **kwargs):
        contents = load_contents(*args, **kwargs)
        cut.write_bytes(cut.read_bytes()[:-50])
        return contents

    monkeypatch.setattr("classifier.data.own_images.file_base.load_contents", load_and_damage)
    options = (*FIT_FILES, "--data.root", split_root)
    status, line = fail(*options, "--data.cache_limit=0")
    assert (status, line.startswith(f"python -m classifier: error: {cut} cannot be read")) == (1, True), line


def test_an_entry_of_the_cache_that_is_truncated_during_training_is_named_in_a_one_line_error(
    split_root, fail, monkeypatch
):
    def load_and_truncate(*args, **kwargs):
        contents = load_contents(*args, **kwargs)
        os.truncate(contents.images.path, 100)
        return contents

    monkeypatch.setattr("classifier.data.own_images.file_base.load_contents", load_and_truncate)
    options = (*FIT_FILES, "--data.root", split_root)
    status, line = fail(*options)
    assert (status, line.endswith(".bin has changed while it was in use: run the command again")) == (1, True), line


def test_an_entry_of_the_cache_that_is_deleted_during_training_can_still_be_read(split_root, make_trainer):
    data = ImageFolder(str(split_root), image_size=8, cache=0)
    data.setup("fit")
    expected = data.datasets["train"][:][0]
    assert DiskCache().clear()[0] == 1
    make_trainer().fit(MLP(image_shape=(3, 8, 8), num_classes=3), data)
    assert torch.equal(data.datasets["train"][:][0], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: root.rename("moved"), "there is no folder"),
        (lambda root: (root / "train/ant").rename("moved"), "train does not have: ant"),
        (lambda root: [f.unlink() for f in (root / "train/ant").iterdir()], "train/ant contains no image files"),
    ],
)
def test_a_folder_without_a_data_set_is_refused_with_a_one_line_error(split_root, fail, change, message):
    change(split_root)
    status, line = fail(
        "fit", "--data", "ImageFolder", "--data.root", split_root, "--pictures=false", "--trainer.max_epochs=1"
    )
    assert (status, message in line) == (1, True), line


def test_a_class_with_too_few_images_to_be_split_is_refused(plain_root):
    for name in ("00.png", "01.jpg", "02.bmp"):
        (plain_root / "cat" / name).unlink()
    with pytest.raises(UserError, match=r"^test_split .*class 'cat' has only one file"):
        open_folder(plain_root)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size must be above 0: one number, or .* not 0"),
        ({"channels": 2}, "channels must be 1 or 3, not 2"),
        ({"test_split": 1.0}, "test_split must be a number of images, a fraction below 1, or all, not 1.0"),
        ({"cache": -1}, "cache must be at least 0, not -1"),
    ],
)
def test_options_out_of_range_are_refused_by_the_constructor(plain_root, options, message):
    with pytest.raises(ValueError, match=message):
        ImageFolder(str(plain_root), **options)


def test_a_run_can_be_tested_from_its_checkpoint_and_repeated_from_its_config(plain_root, run):
    options = ("--data.image_size", "8", "--data.channels", "1", "--pictures=false", "--trainer.max_epochs=1")
    printed = run("fit", "--data", "ImageFolder", "--data.root", plain_root, *options)
    assert "ImageFolder (25 train, 7 test images)" in printed
    assert "(7 images)" in run("test", "--ckpt_path", "last")
    run("fit", "--config", "lightning_logs/version_0/config.yaml")
    first, second = (
        torch.load(f"lightning_logs/version_{i}/checkpoints/last.ckpt", weights_only=True)["state_dict"] for i in (0, 1)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_files_that_are_not_images_are_named_and_none_makes_the_program_wait(split_root, fail):
    folder = split_root / "train/ant"
    os.mkfifo(folder / "pipe.png")
    (folder / "dangling.png").symlink_to("missing")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()
    (folder / "device.png").symlink_to("/dev/zero")
    for cache in (1000, 0):
        status, line = fail("fit", "--data", "ImageFolder", "--data.root", split_root, "--data.cache", cache)
        assert status == 1
        assert "repair or remove 4 of 55 files, or set" in line
        for name, reason in (
            ("pipe", "not a regular"),
            ("dangling", "No such"),
            ("loop", "Too many"),
            ("device", "not"),
        ):
            assert re.search(f"{name}.png cannot be read as an image: [^;]*{reason}", line), line


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\udcff"])
def test_a_class_name_that_cannot_be_printed_is_refused_in_one_line(plain_root, fail, name):
    (plain_root / "ant").rename(plain_root / name)
    status, line = fail("fit", "--data", "ImageFolder", "--data.root", plain_root)
    assert (status, "rename the class 'a" in line, "must be printable" in line) == (1, True, True), line


def test_links_never_give_images_of_one_class_or_split_to_another(split_root, capsys):
    ant, cat = split_root / "train/ant", split_root / "train/cat"
    (ant / "all").symlink_to(split_root)
    (ant / "cats").symlink_to(cat)
    (split_root / "test/ant/more").symlink_to(ant)
    data = open_folder(split_root)
    assert data.datasets["train"].labels.bincount().tolist() == [12, 12, 12]
    assert data.datasets["test"].labels.bincount().tolist() == [5, 5, 5]
    line = capsys.readouterr().out
    assert "3 (folder that is already read: train/ant/all, train/ant/cats, test/ant/more)" in line
    shutil.rmtree(split_root / "test")
    (split_root / "test").symlink_to("train")
    with pytest.raises(UserError, match=r"train/Zebra and .*/test/Zebra are the same folder: remove the link"):
        open_folder(split_root)


def test_split_of_names_that_contain_backslashes_is_exact(tmp_path):
    for name in ("a", "b"):
        for i in range(10):
            (tmp_path / "pets" / name / f"x{i}").mkdir(parents=True)
            Image.new("L", (8, 8), 100).save(tmp_path / "pets" / name / f"x{i}" / "1.png")
            Image.new("L", (8, 8), 100).save(tmp_path / "pets" / name / f"x{i}\\1.png")
    assert len(open_folder(tmp_path / "pets", test_split=7).datasets["test"]) == 7


def test_without_a_test_set_the_validation_images_are_evaluated(plain_root, capsys):
    data = open_folder(plain_root, test_split=0, val_split=8)
    assert {split: len(dataset) for split, dataset in data.datasets.items()} == {"train": 24, "val": 8}
    assert "no test images, so the validation images are evaluated in their place" in capsys.readouterr().out
    with pytest.raises(UserError, match="test_split 0 leaves no images to evaluate: set val_split as well"):
        open_folder(plain_root, test_split=0)
