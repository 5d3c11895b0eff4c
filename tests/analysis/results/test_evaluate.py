"""Evaluation of runs for a report, compared with what `test` writes."""

import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.runs import FIT_DIGITS, load_last
from PIL import Image

from classifier.analysis.results.calibration import apply_temperature, fit_temperature, measure_calibration
from classifier.analysis.results.contents import describe_run
from classifier.analysis.results.evaluate import EvaluatedRun, evaluate_run, make_trainer
from classifier.analysis.results.loading import load_run
from classifier.cli.main import main
from classifier.errors import SettingError, UserError
from classifier.runs.folders import find_checkpoint

FIT = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=5", "--data.val_split=100")


def evaluate(name: str = "last", **options: object) -> EvaluatedRun:
    """Return an evaluated run."""
    return evaluate_run(load_run(find_checkpoint(name), options), make_trainer("cpu", 1, "32-true"))


def read_scores(run, *options: str) -> list[dict[str, str]]:
    """Return the rows of the CSV file that `test` writes."""
    run("test", "--output", "scores.csv", *options)
    with Path("scores.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_photos(folder: Path, split: str = "", count: int = 12) -> None:
    """Write images of two classes, which differ in colour."""
    rng = np.random.default_rng(0)
    for number in range(count):
        for label, name in enumerate(("cat", "dog")):
            path = folder / split / name / f"{split}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 100, (8, 8, 3), dtype=np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(path)


FIT_PHOTOS = ("fit", "--model=MLP", "--data=ImageFolder", "--data.root=photos", "--data.image_size=8",
              "--trainer.max_epochs=1", "--pictures=false")  # fmt: skip


def test_results_are_those_that_test_writes(run):
    run(*FIT, "--model.tta=mirror", "--model.ema_decay=0.9", "--trainer.precision=64-true")
    rows, results = read_scores(run), evaluate().results
    assert [int(row["index"]) for row in rows] == results.indices.tolist() == list(range(360))
    assert [row["true"] for row in rows] == [results.class_names[label] for label in results.labels]
    assert [row["predicted"] for row in rows] == [results.class_names[label] for label in results.predictions]
    written = np.array([[float(row[name]) for name in results.class_names] for row in rows])
    np.testing.assert_allclose(results.probabilities, written, rtol=1e-6)
    own = results.probabilities[np.arange(360), results.labels]
    np.testing.assert_allclose(results.losses, -np.log(own), rtol=1e-4)
    assert results.trained is None  # digits are not recorded


@pytest.mark.usefixtures("_trained_run")
def test_run_is_described_by_its_record_and_its_checkpoint():
    evaluated = evaluate("version_0")
    assert (evaluated.name, evaluated.model, evaluated.data, evaluated.split) == ("version_0", "MLP", "Digits", "test")
    assert evaluated.counts == {"train": 1337, "val": 100, "test": 360}
    assert evaluated.settings["data.val_split"] == 100
    assert evaluated.record.epochs[0]["accuracy/test"] == pytest.approx(evaluated.results.correct.mean())
    validation = evaluated.validation
    assert evaluated.record.epochs[0]["accuracy/val"] == pytest.approx(validation.correct.mean())
    assert validation.probabilities.shape == (100, 10)


@pytest.mark.usefixtures("_trained_run")
def test_temperature_is_fitted_to_the_images_that_were_held_out():
    evaluated = evaluate()
    dataset = load_run(find_checkpoint("last"), {}).data
    dataset.setup("validate")
    assert evaluated.validation.labels.tolist() == dataset.datasets["val"].labels.tolist()
    report = describe_run(evaluated)
    assert report.temperature == fit_temperature(evaluated.validation.probabilities, evaluated.validation.labels)
    after = apply_temperature(evaluated.results.probabilities, report.temperature)
    assert report.calibration_after == measure_calibration(after, evaluated.results.labels)


@pytest.mark.usefixtures("_trained_run")
def test_checkpoint_outside_a_run_has_no_record():
    shutil.copy("lightning_logs/version_0/checkpoints/last.ckpt", "copy.ckpt")
    evaluated = evaluate("copy.ckpt")
    assert (evaluated.name, evaluated.record) == ("copy.ckpt", None)
    assert evaluated.counts == {"train": 1337, "val": 100, "test": 360}
    assert evaluated.settings["model.lr"] > 0


@pytest.mark.usefixtures("_trained_run")
def test_images_are_returned_by_their_index():
    evaluated = evaluate()
    images = evaluated.get_images([7, 3])
    assert (images.shape, images.dtype) == ((2, 1, 8, 8), torch.uint8)
    dataset = load_run(find_checkpoint("last"), {}).data
    dataset.setup("test")
    assert torch.equal(images, dataset.datasets["test"][[7, 3]][0])


@pytest.fixture(scope="module")
def trained_on_photos(tmp_path_factory):
    """Return a folder with photos, some test images of which are copies of training images, and a run on them."""
    folder = tmp_path_factory.mktemp("trained_on_photos")
    previous = Path.cwd()
    os.chdir(folder)
    write_photos(Path("photos"), "train")
    write_photos(Path("photos"), "test", count=5)  # drawn with the same seed
    main([*FIT_PHOTOS])
    os.chdir(previous)
    return folder


@pytest.fixture
def _photos(trained_on_photos):
    shutil.copytree(trained_on_photos, ".", dirs_exist_ok=True)


@pytest.mark.usefixtures("_photos")
def test_images_in_files_are_named_and_marked_if_they_were_trained_on(run):
    evaluated = evaluate()
    results = evaluated.results
    assert evaluated.counts == {"train": 24, "test": 10}
    assert results.names[:2] == ("test/cat/test0.png", "test/cat/test1.png")
    assert results.trained.tolist() == [row["trained_on"] == "true" for row in read_scores(run)]
    assert results.trained.any()


@pytest.mark.usefixtures("_photos")
def test_table_of_images_is_evaluated_like_the_folder():
    checkpoint = load_last()
    rows = [f"{path},{path.parent.name},{path.parts[1]}" for path in sorted(Path("photos").rglob("*.png"))]
    Path("labels.csv").write_text("\n".join(["path,label,split", *rows]))
    checkpoint["classes"]["data"] = "classifier.ImageTable"
    settings = checkpoint["datamodule_hyper_parameters"]
    checkpoint["datamodule_hyper_parameters"] = {**settings, "root": None, "file": "labels.csv"}
    torch.save(checkpoint, "table.ckpt")
    folder, table = evaluate().results, evaluate("table.ckpt")
    assert (table.data, table.counts) == ("ImageTable", {"train": 24, "test": 10})
    assert table.results.names == tuple(f"photos/{name}" for name in folder.names)
    assert np.array_equal(table.results.probabilities, folder.probabilities)
    assert table.results.trained.tolist() == folder.trained.tolist()
    Path("moved").mkdir()
    Path("labels.csv").rename("moved/labels.csv")
    Path("photos").rename("moved/photos")
    assert np.array_equal(evaluate("table.ckpt", file="moved/labels.csv").results.losses, folder.losses)


@pytest.mark.usefixtures("_photos")
def test_checkpoint_of_version_0_1_is_evaluated_with_a_warning_about_its_split():
    checkpoint = load_last()
    del checkpoint["format_version"], checkpoint["training_images"], checkpoint["image_digests"]
    settings = checkpoint["datamodule_hyper_parameters"]
    del settings["test_split"]
    settings |= {"root": "photos/train", "test_share": 0.25}
    torch.save(checkpoint, "old.ckpt")
    text = "an older version of classifier, which split the images"
    with pytest.warns(UserWarning, match=text) as warnings:
        evaluated = evaluate("old.ckpt")
    assert sum(text in str(warning.message) for warning in warnings) == 1
    assert (evaluated.split, evaluated.results.trained) == ("test", None)
    assert evaluated.settings["data.test_split"] == 0.25


@pytest.mark.usefixtures("_photos")
def test_validation_images_are_evaluated_if_there_are_no_test_images():
    Path("photos/test").rename("photos/val")
    evaluated = evaluate()
    assert (evaluated.split, evaluated.validation, len(evaluated.results)) == ("val", None, 10)
    assert evaluated.counts["val"] == 10


@pytest.mark.usefixtures("_photos")
def test_folder_that_has_moved_is_found_by_an_option():
    shutil.move("photos", "moved")
    with pytest.raises(UserError, match="photos"):
        evaluate()
    shutil.rmtree("moved/test/dog")  # images of some classes are enough
    evaluated = evaluate(root="moved")
    assert (len(evaluated.results), evaluated.results.class_names) == (5, ("cat", "dog"))
    assert evaluated.settings["data.root"] == "moved"


@pytest.mark.usefixtures("_trained_run")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rot": "x"}, "--data.rot: Digits has no such setting; it has root, batch_size, "),
        ({"test_batch_size": "many"}, "--data.test_batch_size: "),
        ({"test_batch_size": 0}, "test_batch_size must be above 0"),
        ({"batch_size": 8}, "--data.batch_size: it has no effect on an evaluation; test_batch_size is the number of "),
        ({"flip": "random"}, "--data.flip: it has no effect on an evaluation: leave it out"),
        ({"val_split": 100}, "--data.val_split: which images were held out is stored in the checkpoint"),
    ],
)
def test_wrong_settings_of_the_data_are_refused(options, message):
    with pytest.raises(UserError) as error:
        load_run(find_checkpoint("last"), options)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("settings", [("no such", 1, "32-true"), ("cpu", 1, "no such")])
def test_wrong_settings_of_the_trainer_are_refused(settings):
    with pytest.raises(SettingError, match=f"--accelerator {settings[0]} --devices 1 --precision {settings[2]}: "):
        make_trainer(*settings)


@pytest.mark.usefixtures("_trained_run")
def test_runs_with_equal_settings_share_the_dataset():
    path = find_checkpoint("last")
    first = load_run(path, {})
    assert load_run(path, {}, known_data=[first.data]).data is first.data
    assert load_run(path, {"test_batch_size": 7}, known_data=[first.data]).data is not first.data
