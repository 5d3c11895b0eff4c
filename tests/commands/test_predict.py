"""Predictions for image files, from a checkpoint alone."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.runs import FIT_DIGITS
from PIL import Image

from classifier import MLP, Digits
from classifier.cli.main import main
from classifier.columns import measure
from classifier.commands.predict import predict
from classifier.commands.prediction_table import PredictionTable
from classifier.data.image_files.decoding import read_image
from classifier.errors import SettingError

CHECKPOINT = "lightning_logs/version_0/checkpoints/last.ckpt"


def write_digits(folder: Path, inverted: bool = False, count: int = 40) -> torch.Tensor:
    """Write test images as PNG files, and return their labels."""
    data = Digits()
    data.setup("test")
    images, labels = data.datasets["test"][:count]
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray((255 - image if inverted else image)[0].numpy()).save(folder / f"{i:03}.png")
    return labels


def read_rows(name: str = "predictions.csv") -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with Path(name).open(newline="") as file:
        return list(csv.DictReader(file))


def run_predict(capsys, *args: str) -> tuple[int, str, list[str]]:
    """Return exit status, stdout and the lines of stderr of `predict`."""
    status = 0
    try:
        main(["predict", *map(str, args)])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err.splitlines()


@pytest.fixture
def _trained(run):
    run(*FIT_DIGITS, "--trainer.max_epochs", "2")


@pytest.mark.usefixtures("_trained")
def test_predictions_for_files_of_the_test_images_are_those_that_fit_scored(capsys):
    labels = write_digits(Path("images"), count=360)
    status, printed, errors = run_predict(capsys, "images", "--ckpt_path", "last", "--output", "predictions.csv")
    assert (status, errors) == (0, [])
    rows = read_rows()
    assert list(rows[0]) == ["file", "class", "probability", *"0123456789"]
    assert [row["file"] for row in rows] == [f"images/{i:03}.png" for i in range(360)]

    data, model = Digits(), MLP.load_from_checkpoint(CHECKPOINT, weights_only=True)
    data.setup("test")
    with torch.inference_mode():
        probabilities = model(data.datasets["test"][:][0]).softmax(dim=1)
    written = torch.tensor([[float(row[name]) for name in "0123456789"] for row in rows])
    assert torch.allclose(written, probabilities, atol=1e-6)
    predicted = torch.tensor([int(row["class"]) for row in rows])
    assert torch.equal(predicted, probabilities.argmax(dim=1))
    results = json.loads(Path("lightning_logs/version_0/results.json").read_text())
    assert round(results["epochs"][-1]["accuracy/test"] * 360) == (predicted == labels).sum()

    best, second = probabilities[7].topk(2).indices
    first, runner_up = (f"{probabilities[7][i]:.1%}" for i in (best, second))
    lines = printed.splitlines()
    assert lines[0] == f"checkpoint: {CHECKPOINT}"
    assert lines[1].split() == ["file", "class", "probability", "second", "best", "probability"]
    assert lines[2 + 7].split() == ["images/007.png", str(best.item()), first, str(second.item()), runner_up]
    assert len({len(line) for line in lines[1:-2]}) == 1
    assert lines[-1] == "360 images"


@pytest.mark.usefixtures("_trained")
def test_without_a_checkpoint_the_newest_run_predicts(capsys):
    write_digits(Path("images"), count=3)
    assert run_predict(capsys, "images") == run_predict(capsys, "images", "--ckpt_path", CHECKPOINT)


@pytest.mark.usefixtures("_trained")
def test_options_may_come_from_a_configuration_file(capsys):
    write_digits(Path("images"), count=3)
    Path("predict.yaml").write_text("output: from_file.csv\nbatch_size: 2\ninvert: 'no'\n")
    status, _, errors = run_predict(capsys, "images", "--config", "predict.yaml")
    assert (status, errors) == (0, [])
    assert len(read_rows("from_file.csv")) == 3


@pytest.mark.usefixtures("_trained")
def test_function_predicts_as_the_command_does(capsys):
    write_digits(Path("images"), count=3)
    printed = run_predict(capsys, "images", "--output", "command.csv")[1]
    predict(["images"], output="function.csv")
    assert capsys.readouterr().out == printed
    assert Path("function.csv").read_text() == Path("command.csv").read_text()


@pytest.mark.usefixtures("_trained")
def test_dark_on_light_images_are_inverted_for_a_network_trained_on_light_on_black(capsys):
    write_digits(Path("plain"))
    write_digits(Path("inverted"), inverted=True)
    predicted = []
    for folder, invert, inverted in (
        ("plain", "auto", 0),
        ("inverted", "auto", 40),
        ("inverted", "yes", 40),
        ("inverted", "no", 0),
    ):
        status, printed, _ = run_predict(capsys, folder, "--invert", invert, "--output", "predictions.csv")
        assert status == 0
        assert sum(line.endswith("  inverted") for line in printed.splitlines()) == inverted
        assert (f"{inverted} of them inverted: --invert no" in printed) == (inverted > 0)
        predicted.append([list(row.values())[1:] for row in read_rows()])
    plain, auto, yes, no = predicted
    assert plain == auto == yes
    assert plain != no


def test_network_trained_on_any_background_gets_images_unchanged_and_needs_no_data(run, capsys):
    for name in ("light", "dark"):
        Path("own", name).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (8, 8), 10 * i + (200 if name == "light" else 0)).save(f"own/{name}/{i}.png")
    own = ("--data", "ImageFolder", "--data.root", "own", "--data.image_size", "8", "--data.channels", "1")
    run("fit", *own, "--trainer.max_epochs", "20", "--model.lr", "0.1")
    shutil.move("own/light", "photos")
    shutil.rmtree("own")
    status, printed, errors = run_predict(capsys, "photos/0.png")
    assert (status, errors) == (0, [])
    assert printed.splitlines()[2].split()[:2] == ["photos/0.png", "light"]
    assert "inverted" not in printed


@pytest.mark.usefixtures("_trained")
def test_files_that_are_not_images_are_named_and_skipped(capsys):
    write_digits(Path("images"))
    Path("images/001.png").write_text("no image")
    Path("images/002.png").write_bytes(Path("images/003.png").read_bytes()[:60])
    status, printed, errors = run_predict(capsys, "images", "--batch_size", "15", "--output", "predictions.csv")
    assert status == 1
    assert errors[0] == "skipped: images/001.png is not an image"
    assert errors[1].startswith("skipped: images/002.png cannot be read as an image: ")
    assert errors[2:] == [
        "python -m classifier: error: 2 of 40 files could not be read as images, and were skipped",
    ]
    assert printed.splitlines()[-1] == "38 images"
    assert [row["file"] for row in read_rows()[:3]] == ["images/000.png", "images/003.png", "images/004.png"]


@pytest.mark.usefixtures("_trained")
def test_files_are_decoded_as_those_of_the_training_data_were(capsys):
    pixels = np.random.default_rng(0).integers(0, 4096, (9, 30)).astype(np.uint16)
    Image.fromarray(pixels).save("a.png")
    checkpoint = torch.load(CHECKPOINT, weights_only=True)
    checkpoint["decoding"] = {"resize": "stretch", "max_value": 4095.0, "max_pixels": 270}
    torch.save(checkpoint, "stretch.ckpt")
    arguments = ("a.png", "--ckpt_path", "stretch.ckpt", "--invert", "no", "--output", "a.csv")
    assert run_predict(capsys, *arguments)[0] == 0
    image = read_image("a.png", (1, 8, 8), "stretch", 4095)
    expected = MLP.load_from_checkpoint("stretch.ckpt")(image[None]).softmax(dim=1)[0]
    assert torch.allclose(torch.tensor([float(read_rows("a.csv")[0][name]) for name in "0123456789"]), expected)
    status, _, errors = run_predict(capsys, *arguments, "--max_pixels", "269")
    assert (status, "it has 270 pixels, above the limit of 269" in errors[0]) == (1, True)


@pytest.mark.usefixtures("_trained")
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("a.png nowhere", 1, "nowhere: no such file or folder"),
        ("lightning_logs", 1, "lightning_logs contains no image files"),
        ("a.png --output nowhere/a.csv", 1, "--output nowhere/a.csv cannot be written: No such file"),
        ("a.png --output preds.txt", 2, "--output preds.txt: the table is written as CSV or JSON, so give the file"),
        ("a.png --batch_size 0", 2, "--batch_size"),
        ("a.png --max_pixels 0", 2, "--max_pixels"),
        ("a.png --invert perhaps", 2, "--invert"),
        ("a.png --trainer.accelerator cpu --trainer.devices 2", 2, "unrecognized arguments: --trainer.accelerator"),
        ("a.png --accelerator frob", 2, "--accelerator frob: "),
        ("", 2, "required: PATH"),
    ],
)
def test_wrong_argument_is_refused_before_anything_is_predicted(fail, capsys, arguments, status, message):
    Image.new("L", (8, 8)).save("a.png")
    code, line = fail("predict", "--ckpt_path", "last", *arguments.split())
    assert (code, message in line) == (status, True), line
    assert "file" not in capsys.readouterr().out


def test_function_raises_a_setting_error_for_an_accelerator_that_does_not_exist(run):
    run(*FIT_DIGITS, "--trainer.max_epochs", "1")
    Image.new("L", (8, 8)).save("a.png")
    with pytest.raises(SettingError, match="frob"):
        predict(["a.png"], accelerator="frob")


@pytest.mark.usefixtures("_trained")
def test_file_name_that_a_spreadsheet_would_run_as_a_formula_is_escaped_in_the_csv(capsys):
    Image.new("L", (8, 8)).save("=1+1.png")
    assert run_predict(capsys, "=1+1.png", "--output", "predictions.csv")[0] == 0
    assert read_rows()[0]["file"] == "'=1+1.png"


@pytest.mark.usefixtures("_trained")
def test_file_name_with_control_characters_spoils_neither_table_nor_csv(capsys):
    name = 'a"b,\nc\x1b[2J\udcff.png'
    Image.new("L", (8, 8)).save(name)
    status, printed, _ = run_predict(capsys, name, "--output", "predictions.csv")
    assert status == 0
    assert printed.splitlines()[2].startswith('a"b,?c?[2J?.png ')
    with Path("predictions.csv").open(newline="", errors="surrogateescape") as file:
        assert next(csv.DictReader(file))["file"] == name


def test_plain_trainer_predicts_probabilities_of_any_loader(make_trainer):
    data, model = Digits(), MLP(image_shape=(1, 8, 8))
    data.setup("test")
    batches = make_trainer().predict(model, data.test_dataloader())
    expected = model(data.datasets["test"][:][0]).softmax(dim=1)
    assert torch.allclose(torch.cat(batches), expected, atol=1e-6)


def test_table_on_the_terminal_cuts_long_names_and_aligns_wide_ones(capsys):
    paths, classes = ["photos/" + "x" * 70 + "/1.png", "猫/2\x1b.png"], ["c" * 40, "猫", "dog"]
    with PredictionTable(paths, classes) as table:
        table.add(torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.7, 0.2]]), [0, 1], [], torch.tensor([False, False]))
    header, first, second = capsys.readouterr().out.splitlines()[:3]
    assert first == f"…{'x' * 53}/1.png  {'c' * 29}…        70.0%  {'猫':<29}        20.0%"
    assert second.startswith("猫/2?.png ")
    assert [measure(line) for line in (header, first, second)] == [60 + 2 * (2 + 30 + 2 + 11)] * 3


@pytest.mark.usefixtures("_trained")
def test_csv_and_json_on_standard_output_are_the_rows_of_the_file_and_nothing_else(capsys):
    write_digits(Path("images"), count=5)
    Path("images/broken.png").write_text("text")
    for name in ("file.csv", "file.json"):
        status, _, _ = run_predict(capsys, "images", "--output", name)
        assert status == 1
    status, printed, errors = run_predict(capsys, "images", "--format", "csv")
    assert printed == Path("file.csv").read_text()
    assert printed.splitlines()[0] == "file,class,probability,0,1,2,3,4,5,6,7,8,9"
    assert (status, errors[0]) == (1, f"checkpoint: {CHECKPOINT}")
    assert [line.partition(":")[0] for line in errors[1:]] == ["skipped", "5 images", "python -m classifier"]
    status, printed, _ = run_predict(capsys, "images", "--format", "json")
    rows = [json.loads(line) for line in printed.splitlines()]
    assert rows == json.loads(Path("file.json").read_text())
    for row in rows:
        assert row["probability"] == row["probabilities"][row["class"]] == max(row["probabilities"].values())
