"""Error messages of the parser as one line, and the classes that a file may name."""

import io
from itertools import chain
from pathlib import Path

import pytest
import torch
import yaml

from classifier.cli.main import main
from classifier.cli.parsing import dump_yaml, list_choices, shorten_message

CLASS_NOT_ALLOWED = """\
Parser key "data":
  Problem with given class_path 'mine.Mine':
    Importing 'mine.Mine' is not allowed
"""
# A module that leaves a file behind when it is imported.
MINE = """
import pathlib
from classifier import Digits
pathlib.Path("imported").touch()

class Mine(Digits):
    "Digits under another name."
"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("expected one argument", "expected one argument"),
        (CLASS_NOT_ALLOWED, "--data: mine.Mine is not part of classifier; if you trust it, add --allow_import mine"),
        ("the following arguments are required: paths", "the following arguments are required: PATH"),
        ("the following arguments are required: output", "the following arguments are required: --output"),
    ],
)
def test_message_is_shortened_to_one_line(message, line):
    assert shorten_message(message) == line


def test_message_about_a_value_of_the_wrong_type_names_the_expected_type_and_the_value(fail):
    message = "--trainer.max_epochs: Expected a int; got ten"
    assert fail("fit", "--trainer.max_epochs", "ten") == (2, f"python -m classifier: error: {message}")


def test_choices_are_the_concrete_classes_of_the_package():
    assert set(list_choices("model")) >= {"Airbench", "CNN", "MLP", "TorchVision"}
    assert set(list_choices("data")) >= {"CIFAR10", "Digits", "FashionMNIST", "ImageFolder"}
    assert "ImageClassifier" not in list_choices("model")
    assert list_choices("trainer") == []


def test_class_named_in_a_file_is_imported_only_if_the_command_line_allows_it(start):
    Path("mine.py").write_text(MINE)
    Path("mine.yaml").write_text("model: MLP\ndata:\n  class_path: mine.Mine\n")
    stored = {"hyper_parameters": {}, "state_dict": {}, "epoch": 0, "pytorch-lightning_version": "2.6.6"}
    torch.save({**stored, "classes": {"model": "classifier.MLP", "data": "mine.Mine"}}, "evil.ckpt")

    def finish(*args):
        process = start(*args)  # each in a new process, which has neither allowed nor imported anything
        process.join()
        return process.exitcode, Path("out").read_text() + Path("err").read_text()

    for refused in (("fit", "--config", "mine.yaml"), ("test", "--ckpt_path", "evil.ckpt")):
        status, text = finish(*refused)
        assert "mine.Mine is not part of classifier; if you trust it, add --allow_import mine" in text
        assert status == 2
        assert not Path("imported").exists()
    fit = ("fit", "--config", "mine.yaml", "--trainer.max_epochs", "1")
    assert "on Mine (1,437 train" in finish(*fit, "--allow_import", "mine")[1]
    assert "(360 images)" in finish("test", "--ckpt_path", "last", "--allow_import", "mine")[1]
    assert finish("test", "--ckpt_path", "last")[0] == 2


@pytest.mark.parametrize("name", ["data.init_args.root", "trainer.default_root_dir"])
def test_null_character_in_a_file_is_refused(fail, name):
    content: object = "a\0b"
    for key in reversed(name.split(".")):
        content = {key: content}
    Path("null.yaml").write_text(yaml.safe_dump(content))
    status, line = fail("fit", "--config=digits", "--config=null.yaml")
    assert (status, "--config null.yaml is refused: line" in line, "contains a null character" in line) == (
        2,
        True,
        True,
    )
    assert list(Path().iterdir()) == [Path("null.yaml")]


def test_yaml_escapes_what_standard_output_cannot_encode_so_that_it_is_read_back(monkeypatch):
    settings = {"root": "b\xfccher/\u732b", "name": "caf\xe9"}
    for encoding, shown in (("utf-8", "b\xfccher"), ("ascii", '"b\\xFCcher')):
        output = io.BytesIO()
        stream = io.TextIOWrapper(output, encoding=encoding, errors="backslashreplace")
        monkeypatch.setattr("sys.stdout", stream)
        stream.write(dump_yaml(settings))
        stream.flush()
        text = output.getvalue().decode(encoding)
        assert shown in text
        assert yaml.safe_load(text) == settings


def test_options_win_over_configuration_files_wherever_they_stand(capsys):
    Path("my.yaml").write_text("model:\n  init_args:\n    lr: 0.5\ndata:\n  init_args:\n    batch_size: 7\n")
    parts = [["--config", "digits"], ["-c=my.yaml"], ["--trainer.max_epochs", "1"], ["--model.lr=0.25"]]
    expected = None
    for first in range(4):
        parts[0] = ["-cdigits"] if first == 3 else ["--config", "digits"]
        order = [*parts[first:], *parts[:first]] if first != 1 else [parts[2], parts[0], parts[3], parts[1]]
        with pytest.raises(SystemExit):
            main(["fit", *chain.from_iterable(order), "--print_config"])
        settings = yaml.safe_load(capsys.readouterr().out)
        assert settings["trainer"]["max_epochs"] == 1
        assert settings["model"]["init_args"]["lr"] == 0.25
        if order.index(parts[0]) < order.index(parts[1]):  # files keep their order
            assert settings["data"]["init_args"]["batch_size"] == 7
            expected = expected or settings
            assert settings == expected


def test_options_of_function_commands_win_over_a_file_that_follows_them(run):
    Path("inspect.yaml").write_text("output: file.png\n")
    for options in (
        ["--output", "option.png", "--config", "inspect.yaml"],
        ["-c", "inspect.yaml", "--output=option.png"],
    ):
        assert "contact sheet: " in run("inspect", "--data=Digits", *options)
        assert not Path("file.png").exists()


def test_configuration_option_without_a_value_is_refused(fail):
    status, line = fail("fit", "--model", "MLP", "--config")
    assert (status, "--config" in line, "expected one argument" in line) == (2, True, True), line
