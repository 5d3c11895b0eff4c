"""Objects that a user adds to the Trainer."""

import importlib.util
import shlex
from pathlib import Path

import pytest
import yaml
from helpers.lightning_parts import list_parts
from helpers.runs import FIT_DIGITS, LOGS

from classifier import ConsoleReporter
from classifier.callbacks.console import ResultPrinter
from classifier.cli.trainer_parts import make_printers

SHORT = (*FIT_DIGITS, "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.accelerator", "cpu")
OPTIONAL_PACKAGES = {"DeepSpeedStrategy": "deepspeed", "RichProgressBar": "rich", "WandbLogger": "wandb"}
MISSING = [
    part
    for part in list_parts()
    if part.name in OPTIONAL_PACKAGES and importlib.util.find_spec(OPTIONAL_PACKAGES[part.name]) is None
]


def use(option: str, class_path: str, **init_args: object) -> tuple[str, ...]:
    """Return the options that add a class to the Trainer."""
    return (f"--trainer.{option}={class_path}", *(f"--trainer.{option}.{k}={v}" for k, v in init_args.items()))


@pytest.mark.parametrize("part", MISSING, ids=lambda part: part.name)
def test_part_whose_package_is_missing_is_refused_in_one_line_that_names_the_package(fail, part):
    Path("part.yaml").write_text(yaml.safe_dump(part.settings))
    status, line = fail(*SHORT, "--config", "part.yaml")
    assert (status, f"trainer: {part.name} cannot be built: " in line) == (2, True), line
    assert f"pip install -U {OPTIONAL_PACKAGES[part.name]}" in line.replace("'", "")


def test_part_whose_constructor_fails_is_refused_in_one_line(fail):
    options = use("callbacks", "helpers.user_parts.Fails", number=3)
    status, line = fail(*SHORT, "--allow_import=helpers", *options)
    assert (status, line) == (
        2,
        "python -m classifier: error: trainer: Fails cannot be built: RuntimeError: number 3 is wrong",
    )
    assert not LOGS.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            use("callbacks", "BackboneFinetuning"),
            "trainer: BackboneFinetuning.freeze_before_training failed",
        ),
        (
            use("callbacks", "EarlyStopping", monitor="nope"),
            "EarlyStopping monitors nope, which this run does not have",
        ),
    ],
)
def test_class_of_lightning_that_fails_in_a_hook_is_reported_in_one_line(fail, options, message):
    status, line = fail(*SHORT, *options)
    assert (status, message in line) == (2, True), line


def test_bug_in_a_hook_of_the_user_is_shown_with_its_traceback(run):
    with pytest.raises(RuntimeError, match="a bug"):
        run(*SHORT, "--allow_import=helpers", *use("callbacks", "helpers.user_parts.FailsLater"))


@pytest.mark.parametrize("bar", ["TQDMProgressBar", "helpers.user_parts.Dots"])
def test_progress_bar_of_the_user_replaces_ours_and_the_results_are_printed(run, bar):
    printed = run(*SHORT, "--allow_import=helpers", *use("callbacks", bar))
    assert "epoch 1/1  train loss" in printed
    assert "test accuracy by class" in printed
    assert (".\n" in printed.splitlines(keepends=True)) == bar.endswith("Dots")


def test_printer_of_the_user_is_the_only_one():
    class Settings:
        callbacks = ConsoleReporter()
        enable_progress_bar = None

    assert make_printers(Settings) == []
    Settings.callbacks = None
    (printer,) = make_printers(Settings)
    assert isinstance(printer, ConsoleReporter)
    assert isinstance(printer, ResultPrinter)


def test_printed_command_resumes_a_run_with_classes_of_other_packages(run, capsys):
    folder = Path("a folder with 'quotes'")
    with pytest.raises(SystemExit) as stop:
        run(
            *SHORT,
            *("--allow_import", "helpers", *use("callbacks", "helpers.user_parts.Interrupts")),
            *("--trainer.default_root_dir", folder, "--trainer.max_epochs", "2"),
        )
    assert stop.value.code == 130
    command = capsys.readouterr().out.partition("stopped; continue with: python -m classifier ")[2]
    assert command.endswith(" --allow_import=helpers\n")
    with pytest.raises(SystemExit):
        run(*shlex.split(command))
    assert f"checkpoint: {folder}/lightning_logs/version_0/checkpoints/last.ckpt" in capsys.readouterr().out
