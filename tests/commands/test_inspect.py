"""`inspect`: text, JSON, contact sheet and exit status."""

import json
from pathlib import Path

import pytest
from helpers.photographs import write_faulty_folder
from PIL import Image

from classifier import Digits
from classifier.analysis.findings import find_problems
from classifier.analysis.inspection import inspect_data
from classifier.cli.main import main
from classifier.commands.inspect import inspect

PETS = ("inspect", "--data", "ImageFolder", "--data.root", "pets")


@pytest.fixture
def _pets(tmp_path):
    """Write a folder with every fault."""
    write_faulty_folder(tmp_path / "pets")


@pytest.mark.usefixtures("_pets")
def test_a_folder_is_described_and_the_contact_sheet_written(capsys):
    main([*PETS, "--data.image_size", "[48,64]"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ImageFolder pets: 15 images in 3 classes, decoded to 64x48 pixels")
    assert "unreadable files: 1" in lines
    assert lines[-1] == "contact sheet: inspect.png"
    assert len(lines) <= 40
    with Image.open("inspect.png") as picture:
        assert picture.format == "PNG"
    assert sorted(path.name for path in Path().iterdir()) == ["inspect.png", "pets"]


@pytest.mark.usefixtures("_pets")
def test_json_is_all_that_is_printed(capsys):
    main([*PETS, "--format", "json", "--output", "sheet.png"])
    found = json.loads(capsys.readouterr().out)
    assert found["picture"] == "sheet.png"
    assert found["images"]["test"] == {"ant": 2, "bee": 3, "fly": 0}


@pytest.mark.usefixtures("_pets")
def test_strict_fails_with_one_line_if_something_is_wrong(fail, capsys):
    main(list(PETS))  # does not fail
    capsys.readouterr()
    main([*PETS, "--strict", "false"])
    capsys.readouterr()
    for value in (["--strict", "true"], ["--strict"]):
        status, line = fail(*PETS, *value)
        assert status == 1
    assert line.startswith("python -m classifier: error: ImageFolder pets has problems: unreadable files: 1; ")


def test_a_dataset_in_memory_without_faults_passes(capsys):
    main(["inspect", "--data", "Digits", "--strict", "--output", "sheet.png"])
    assert "unreadable files: none" in capsys.readouterr().out


def test_no_picture_is_written_if_there_is_nothing_to_show(capsys, monkeypatch):
    monkeypatch.setattr("classifier.analysis.inspection.find_near_duplicates", lambda _: ([], True))
    inspect(Digits())
    assert capsys.readouterr().out.splitlines()[-1] == "contact sheet: not written, because there is nothing to show"
    assert not Path("inspect.png").exists()


def test_a_class_of_the_user_can_be_named_or_allowed(tmp_path, capsys, monkeypatch, fail):
    (tmp_path / "my_inspected_data.py").write_text("from classifier import Digits\nclass Mine(Digits):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "data.yaml").write_text("data: {class_path: my_inspected_data.Mine}\n")
    assert "--allow_import my_inspected_data" in fail("inspect", "--config", "data.yaml")[1]
    for arguments in (
        ["--config", "data.yaml", "--allow_import", "my_inspected_data"],
        ["--data", "my_inspected_data.Mine"],
    ):
        main(["inspect", *arguments])
        assert capsys.readouterr().out.startswith("Mine: 1,797 images")


def test_a_recipe_or_a_file_of_fit_gives_the_data_and_a_file_reports_that_the_rest_is_unused(capsys):
    Path("mine.yaml").write_text("model: MLP\ndata: {class_path: Digits, init_args: {val_split: 100}}\n")
    for name, has_validation_images in (("digits", False), ("mine.yaml", True)):
        main(["inspect", "--config", name, "--output", "sheet.png", "--format", "json"])
        captured = capsys.readouterr()
        assert ("val" in json.loads(captured.out)["images"]) == has_validation_images
        expected = f"--config {name}: only the settings of the data are used\n" if name == "mine.yaml" else ""
        assert captured.err == expected


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--data", "ImageFolder", "--data.root", "none"], 1, "none"),
        (["--data", "Nothing"], 2, "Nothing is none of CIFAR10"),
        (["--data", "Digits", "--output", "sheet.txt"], 2, "must end in .png"),
        (["--data", "Digits", "--output", "none/sheet.png"], 1, "there is no folder of this name"),
        (["--data", "Digits", "--format", "xml"], 2, "--format"),
        (["--data", "Digits", "--data.frob", "1"], 2, "frob"),
        ([], 2, "data"),
        (["--config", "none.yaml"], 2, "no such file, and the recipes are"),
    ],
)
def test_mistakes_are_answered_with_one_line(fail, arguments, status, message):
    found, line = fail("inspect", *arguments)
    assert found == status
    assert message in line


def test_the_same_is_a_function_for_notebooks():
    inspection = inspect_data(Digits(val_split=100))
    assert inspection.splits.tolist().count("val") == 100
    assert find_problems(inspection).leaks == []
