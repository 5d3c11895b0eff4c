"""Suggestions for options, commands and values that do not exist."""

import re
from pathlib import Path

import pytest

from classifier.cli.main import COMMANDS, main
from classifier.cli.suggestions import ADVICE, SYNONYMS, suggest_command

HELP = "; python -m classifier {} --help lists the options"
# A wrong command line, what is suggested, and the value with which that is accepted.
GUESSES = [
    ("fit --epochs 3", "--trainer.max_epochs", "3"),
    ("fit --num-epochs 3", "--trainer.max_epochs", "3"),
    ("fit --trainer.epochs 3", "--trainer.max_epochs", "3"),
    ("fit --trainer.max_epoch 3", "--trainer.max_epochs", "3"),
    ("fit --max_epochs 3", "--trainer.max_epochs", "3"),
    ("fit --lr 0.1", "--model.lr", "0.1"),
    ("fit --learning-rate 0.1", "--model.lr", "0.1"),
    ("fit --model.learning_rate 0.1", "--model.lr", "0.1"),
    ("fit --model.lrr 0.1", "--model.lr", "0.1"),
    ("fit --batch-size 3", "--data.batch_size", "3"),
    ("fit --data.batchsize 3", "--data.batch_size", "3"),
    ("fit --gpus 1", "--trainer.devices", "1"),
    ("fit --trainer.gpus 1", "--trainer.devices", "1"),
    ("fit --device cpu", "--trainer.accelerator", "cpu"),
    ("fit --seed 3", "--seed_everything", "3"),
    ("fit --data_dir x", "--data.root", "x"),
    ("fit --data.path x", "--data.root", "x"),
    ("fit --val_split 0.1", "--data.val_split", "0.1"),
    ("fit --imgsz 64 --data ImageFolder", "--data.image_size", "64"),
    ("fit --recipe digits", "--config", "digits"),
    ("fit digits", "--config digits", ""),
    ("fit pets", "--data ImageFolder --data.root pets", ""),
    ("fit best", "--ckpt_path best", ""),
    ("fit version_3", "--ckpt_path version_3", ""),
    ("export lightning_logs/version_3 --output a.pth", "--ckpt_path lightning_logs/version_3", ""),
    ("inspect pets", "--data ImageFolder --data.root pets", ""),
    ("fit --model resnet18", "--model TorchVision --model.name resnet18", ""),
    ("fit --model cnn", "--model CNN", ""),
    ("fit --data imagefolder", "--data ImageFolder", ""),
    ("fit --data cifar-10", "--data CIFAR10", ""),
    ("fit --precision 16-mixed", "--trainer.precision", "16-mixed"),
    ("fit --resume last", "--ckpt_path", "last"),
    ("predict a.png --weights last", "--ckpt_path", "last"),
    ("predict a.png --model last", "--ckpt_path", "last"),
    ("predict a.png --device cpu", "--accelerator", "cpu"),
    ("export --checkpoint last --output a.onnx", "--ckpt_path", "last"),
]


@pytest.mark.parametrize(("guess", "suggestion"), [case[:2] for case in GUESSES])
def test_wrong_guess_is_answered_with_the_option_that_is_meant(guess, suggestion, fail):
    Path("pets").mkdir()
    Path("a.png").touch()
    Path("lightning_logs/version_3/checkpoints").mkdir(parents=True)
    status, line = fail(*guess.split())
    assert (status, line.endswith(f"did you mean {suggestion}?")) == (2, True), line


@pytest.mark.parametrize(
    ("suggestion", "value"),
    [
        case[1:]
        for case in GUESSES
        if case[0].startswith("fit") and not case[1].startswith(("--ckpt_path", "--data.image_size"))
    ],
)
def test_suggested_option_is_accepted(suggestion, value, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["fit", *suggestion.split(), *value.split(), "--print_config"])
    assert stop.value.code == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fit --workers 3", "leave it out, because the number of worker processes is chosen automatically"),
        ("fit --optimizer adam", "the optimizer is SGD; docs/examples.md shows how to use another one"),
        (
            "fit --early_stopping",
            "use --data.val_split 0.1 --trainer.callbacks EarlyStopping --trainer.callbacks.monitor",
        ),
        ("fit --model.hidden_sizes 32", "--model.hidden_sizes: expected a list, such as [32]; got 32"),
        ("fit --config digits --data.image_size 3", "is an option of ImageFolder and ImageTable only"),
        ("fit --model.dropout 0.5", "--model.dropout does not exist; --model.help NAME lists the options of NAME"),
        ("fit --model.help resnet18", "; did you mean --model.help TorchVision?"),
        ("fit --trainer.callbacks EarlyStopping", "error: --trainer.callbacks.monitor is required"),
        ("fit --data ImageTable", "error: --data.file is required"),
        ("fit --trainer.callbacks.monitor loss/val", "error: --trainer.callbacks: give its class before its options"),
        ("fit --trainer.logger.save_dir x", "error: --trainer.logger: give its class before its options"),
        (
            "fit --trainer.callbacks EarlyStoping",
            "EarlyStoping; did you mean --trainer.callbacks EarlyStopping?",
        ),
        ("fit --trainer.logger csv", "no class csv; did you mean --trainer.logger CSVLogger?"),
        ("predict a.png --format cvs", "--format: expected 'text', 'csv', 'json'; Got value: cvs"),
        ("fit --abcdefg", "--abcdefg" + HELP.format("fit")),
        ("fit some_text", "some_text" + HELP.format("fit")),
        ("export --output a.pth --abcdefg", "--abcdefg" + HELP.format("export")),
        ("--config digits", "did you mean python -m classifier fit --config digits?"),
        ("digits", "did you mean python -m classifier fit --config digits?"),
        ("trian", "give one of"),
    ],
)
def test_what_no_option_does_is_answered_with_what_to_do(command, message, fail):
    status, line = fail(*command.split())
    assert (status, message in line, "did you mean --help" in line) == (2, True, False), line


@pytest.mark.parametrize(
    ("guess", "command"),
    [("train", "fit"), ("eval", "test"), ("infer", "predict"), ("convert", "export"), ("Fit", "fit"), ("tets", "test")],
)
def test_command_of_another_tool_is_answered_with_the_command_here(guess, command, fail):
    assert suggest_command(guess, COMMANDS) == command
    assert fail(guess)[1].endswith(f"did you mean {command}?")


def test_no_name_has_two_meanings():
    names = [name for table in (SYNONYMS, ADVICE) for names in table for name in names]
    assert len(names) == len(set(names))
    assert all(name == re.sub("[-_]", "", name).lower() for name in names)
