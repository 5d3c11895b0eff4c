"""Results of every evaluated image: those that were trained on, and the CSV file."""

import csv
from pathlib import Path

import pytest
import torch
from helpers.file_data import TrainValDigits, list_hashes, make_data, read_digits

from classifier import MLP, Digits
from classifier.callbacks.image_scores import ImageScores, describe_trained_images, write_scores
from classifier.data.sources import ImagesInMemory
from classifier.data.training_record import TrainingRecord

NAMES = list("0123456789")


def read_rows(name: str = "scores.csv") -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with Path(name).open(newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def make_model(indices=(), **decoding):
    """Return an untrained network that seems to be trained on the given training images of Digits."""
    torch.manual_seed(0)
    model = MLP(image_shape=(1, 8, 8))
    model.training_record = TrainingRecord(list_hashes(list(indices)), {}, {"image_shape": (1, 8, 8), **decoding})
    return model


def evaluate(make_trainer, model, data, method="test", output=None, **options):
    """Evaluate a network with the callback, and return the accuracy."""
    trainer = make_trainer(callbacks=[ImageScores(output)], logger=False, **options)
    result = getattr(trainer, method)(model, data, verbose=False)[0]
    return result["accuracy/test" if method == "test" else "accuracy/val"]


def predict(model, indices):
    """Return probabilities (N, 10) and labels (N,) of training images of Digits."""
    images, labels = read_digits("train")
    with torch.no_grad():
        return model.eval()(images[list(indices)]).softmax(1), labels[list(indices)]


@pytest.mark.parametrize(("method", "first", "count"), [("test", 1200, 40), ("validate", 1000, 60)])
def test_images_that_were_trained_on_are_counted_and_the_accuracy_is_given_without_them(
    make_trainer, capsys, method, first, count
):
    model = make_model(range(first + 7, first + count - 2))
    evaluate(make_trainer, model, make_data(), method)
    probabilities, labels = predict(model, [*range(first, first + 7), first + count - 2, first + count - 1])
    accuracy = (probabilities.argmax(1) == labels).double().mean()
    assert capsys.readouterr().out == (
        f"{count - 9} of these {count} images were trained on; without them: accuracy {accuracy:.2%} (9 images)\n"
    )


def test_nothing_is_printed_without_a_record_or_without_such_images(make_trainer, capsys):
    evaluate(make_trainer, make_model(range(100)), make_data())
    evaluate(make_trainer, MLP(image_shape=(1, 8, 8)), make_data())
    evaluate(make_trainer, make_model(), Digits())
    assert capsys.readouterr().out == ""


def test_record_of_a_folder_is_compared_with_the_images_of_any_dataset(make_trainer, capsys):
    model = make_model()
    images, _ = Digits().read("test")
    hashes = ImagesInMemory(images[:3]).get_hashes().sort().values
    model.training_record = model.training_record._replace(images=hashes)
    evaluate(make_trainer, model, Digits())
    assert capsys.readouterr().out.startswith("3 of these 360 images were trained on; without them: accuracy ")


def test_only_evaluated_images_are_counted(make_trainer, capsys):
    data = make_data()
    data.hparams.test_batch_size = 10
    evaluate(make_trainer, make_model(range(1205, 1240)), data, limit_test_batches=1)
    assert capsys.readouterr().out.startswith("5 of these 10 images were trained on; ")


def test_text_about_all_images_and_about_one():
    true, one = torch.ones(2, dtype=torch.bool), torch.tensor([True, False])
    assert describe_trained_images(true, true) == "all of these 2 images were trained on"
    line = "1 of these 2 images was trained on; without it: accuracy 0.00% (1 image)"
    assert describe_trained_images(one, one) == line
    assert describe_trained_images(true, ~true) == ""


def test_images_that_are_decoded_differently_than_in_training_are_reported(make_trainer, capsys):
    data = make_data()
    data.hparams.resize = "crop"
    evaluate(make_trainer, make_model(resize="letterbox"), data)
    line = "images that were trained on may not be recognised: resize is crop, and was letterbox in training"
    assert capsys.readouterr().out == f"{line}\n"


@pytest.mark.parametrize(("method", "first", "count"), [("test", 1200, 40), ("validate", 1000, 60)])
def test_table_has_a_row_per_image_in_order_with_file_classes_and_probabilities(make_trainer, method, first, count):
    model = make_model(range(first + 1, first + 3))
    accuracy = evaluate(make_trainer, model, make_data(), method, "scores.csv")
    rows, split = read_rows(), {"test": "test", "validate": "val"}[method]
    assert list(rows[0]) == ["file", "true", "predicted", "trained_on", *NAMES]
    assert [row["file"] for row in rows] == [f"{split}/{i:04}.png" for i in range(first, first + count)]
    assert [row["trained_on"] for row in rows] == ["false", "true", "true", *["false"] * (count - 3)]
    probabilities, labels = predict(model, range(first, first + count))
    assert [int(row["true"]) for row in rows] == labels.tolist()
    assert [int(row["predicted"]) for row in rows] == probabilities.argmax(1).tolist()
    for row, expected in zip(rows, probabilities, strict=True):
        assert [float(row[name]) for name in NAMES] == pytest.approx(expected.tolist(), rel=1e-5)
    assert sum(row["true"] == row["predicted"] for row in rows) / count == pytest.approx(accuracy)


def test_table_of_images_without_files_has_their_index_and_no_column_that_is_not_known(make_trainer):
    evaluate(make_trainer, MLP(image_shape=(1, 8, 8)), Digits(), output="scores.csv")
    rows = read_rows()
    assert list(rows[0]) == ["index", "true", "predicted", *NAMES]
    assert [row["index"] for row in rows] == [str(index) for index in range(360)]


def test_names_and_classes_that_a_spreadsheet_would_run_as_formulas_are_escaped():
    images = {name: torch.tensor([0]) for name in ("index", "label", "prediction")}
    write_scores("a.csv", {**images, "probability": torch.tensor([[1.0]])}, ['=HYPERLINK("x")\udcff.png'], ["+a"])
    assert read_rows("a.csv") == [
        {"file": '\'=HYPERLINK("x")\udcff.png', "true": "'+a", "predicted": "'+a", "'+a": "1"}
    ]


def test_probabilities_are_kept_only_if_they_are_written(make_trainer):
    for output in (None, "scores.csv"):
        model = MLP(image_shape=(1, 8, 8))
        evaluate(make_trainer, model, make_data(TrainValDigits), "validate", output)
        columns = {"index", "label", "prediction", "loss"} | ({"probability"} if output else set())
        assert model.get_metrics("val").get_images().keys() == columns


def test_nothing_is_reported_during_training(make_trainer, capsys):
    data = make_data(indices={"val": [0, 1, 2]})
    make_trainer(callbacks=[ImageScores("scores.csv")]).fit(MLP(image_shape=(1, 8, 8)), data)
    assert capsys.readouterr().out == ""
    assert not Path("scores.csv").exists()
