"""The parser of `fit`, `validate` and `test`."""

import re
from pathlib import Path

import pytest
import yaml
from helpers.runs import FIT_DIGITS

from classifier.cli.main import main


def test_help_of_fit_begins_with_examples_and_lists_own_options_before_those_of_the_trainer(capsys):
    text = print_help(capsys, "fit", "--help")
    assert len(text.splitlines()) < 270
    order = [
        "usage: python -m classifier fit",
        "examples:",
        "fit --config digits",
        "--config CONFIG",
        "network (--model",
    ]
    order += ["--model NAME", "--model.lr LR", "--data NAME", "--data.batch_size", "--trainer.max_epochs MAX"]
    positions = [text.index(part) for part in order]
    assert positions == sorted(positions)
    for name in ("MLP", "TorchVision", "ImageFolder", "Digits", "--trainer.accelerator", "--threads", "--ckpt_path"):
        assert name in text
    for hidden in ("--trainer.barebones", "--model.image_shape", "Linked arguments", "known subclasses"):
        assert hidden not in text
    assert not re.search(r"max_epochs ?= ?|ModelCheckpoint|optional flags", text)  # what holds for Lightning only
    assert not re.search(r"``|:\w+:`|lightning\.pytorch\.|- \w+-", text)
    assert max(map(len, re.sub("(?m)^  python .*", "", text).splitlines())) <= 80


@pytest.mark.parametrize("command", ["test", "validate"])
def test_help_of_evaluation_shows_an_example_of_the_command(command, capsys):
    text = print_help(capsys, command, "--help")
    assert f"examples:\n  python -m classifier {command} --ckpt_path best" in text
    assert "--output OUTPUT" in text


def test_help_of_a_dataset_is_clean_text(capsys):
    text = print_help(capsys, "fit", "--data.help", "ImageFolder")
    assert "--data.image_size" in text
    assert not re.search(r"``|known subclasses", text)


def print_help(capsys, *args):
    with pytest.raises(SystemExit) as stop:
        main(list(args))
    assert stop.value.code == 0
    return capsys.readouterr().out


def test_option_that_help_hides_works_and_is_saved(run):
    run(*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_val_batches=1", "--trainer.log_every_n_steps=7")
    config = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert config["trainer"]["log_every_n_steps"] == 7
