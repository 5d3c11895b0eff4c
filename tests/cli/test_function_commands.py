"""Commands that are plain functions: signature and docstring become options and help."""

import inspect
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from jsonargparse.typing import PositiveInt

from classifier.cli.function_commands import run_function, set_threads
from classifier.cli.main import main
from classifier.commands.export import export
from classifier.commands.predict import predict
from classifier.commands.report import report
from classifier.errors import SettingError

CALLS = []


def paint(
    paths: list[str],
    color: Literal["red", "blue"] = "red",
    layers: PositiveInt = 1,
    output: str | None = None,
    allow_import: list[str] = [],  # noqa: B006
) -> None:
    """Paint files.

    More about painting.

    Args:
        paths: Files to paint.
        color: Color of the paint.
        layers: Number of layers, above 0.
        output: File to write.
        allow_import: Packages to import.
    """
    CALLS.append((paths, color, layers, output, allow_import))


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@pytest.mark.parametrize("function", [predict, report, export])
def test_help_shows_every_parameter_of_a_command(capsys, function):
    with pytest.raises(SystemExit) as stop:
        main([function.__name__, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m classifier {function.__name__} ")
    assert inspect.getdoc(function).splitlines()[0].split(":")[0] in " ".join(text.split())
    options = [f"--{name}" for name in inspect.signature(function).parameters if name not in ("paths", "runs")]
    for option in (*options, "--config", "--threads"):
        assert f"\n  {option}" in text or f", {option}" in text, option
    assert ("PATH [PATH ...]" in text) == (function is predict)
    assert ("RUN [RUN ...]" in text) == (function is report)
    assert "--trainer" not in text
    assert not re.search("optional flags|CLASS_PATH_OR_NAME|Base class|known subclasses|``", text)


def test_help_of_an_option_is_its_line_in_the_docstring(capsys):
    with pytest.raises(SystemExit):
        run_function(paint, ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "usage: python -m classifier paint " in text
    assert "Paint files." in text
    assert "More about painting." not in text
    assert "--layers LAYERS Number of layers, above 0. (type: PositiveInt, default: 1)" in text


def test_options_become_arguments_and_defaults_come_from_the_signature():
    run_function(paint, ["a", "b"])
    run_function(paint, ["a", "--color", "blue", "--layers=2", "--output", "c"])
    assert CALLS == [(["a", "b"], "red", 1, None, []), (["a"], "blue", 2, "c", [])]


def test_options_come_from_a_configuration_file_and_the_command_line_wins_over_it():
    Path("paint.yaml").write_text("color: blue\nlayers: 3\noutput: from_file\n")
    run_function(paint, ["a", "--config", "paint.yaml", "--layers", "4"])
    assert CALLS == [(["a"], "blue", 4, "from_file", [])]


def test_allowed_packages_are_given_in_the_same_way_as_to_fit():
    run_function(paint, ["a", "--allow_import", "mine", "--allow_import", "other"])
    assert CALLS == [(["a"], "red", 1, None, ["mine", "other"])]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: PATH"),
        (["a", "--color", "green"], "--color: "),
        (["a", "--layers", "0"], "--layers: Not of type PositiveInt: 0 does not conform to restriction v>0"),
        (["a", "--colour", "red"], "unrecognized arguments: --colour red; did you mean --color?"),
        (["a", "--threads", "-1"], "--threads: "),
        (["a", "--col", "red"], "unrecognized arguments: --col red"),
    ],
)
def test_wrong_options_are_refused_before_the_function_is_called(arguments, message):
    with pytest.raises(SettingError, match="^" + message.replace("?", "[?]")):
        run_function(paint, arguments)
    assert CALLS == []


def test_number_of_threads_is_that_of_the_option_and_0_changes_nothing(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_function(paint, ["a", "--threads", "2"])
    assert torch.get_num_threads() == 2
    set_threads(0)
    assert torch.get_num_threads() == 2


def test_configuration_file_cannot_allow_imports():
    Path("options.yaml").write_text("allow_import: [stranger]\n")
    with pytest.raises(SettingError, match="allow_import belongs on the command line, not into a file"):
        run_function(paint, ["a.png", "--config", "options.yaml"])
    assert CALLS == []


def weigh(runs: list[str], devices: PositiveInt = 1, data: dict[str, Any] = {}) -> None:  # noqa: B006
    """Weigh runs.

    Args:
        runs: Runs to weigh.
        devices: Number of processes.
        data: Settings.
    """
    CALLS.append((runs, devices, data))


def test_settings_in_a_table_are_options_of_their_own():
    run_function(weigh, ["a", "b", "--data.root", "c d", "--data.batch_size=3"])
    assert CALLS == [(["a", "b"], 1, {"root": "c d", "batch_size": 3})]


def test_command_with_devices_runs_in_as_many_processes_only(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    run_function(weigh, ["a", "--devices", "2"])
    assert CALLS == [(["a"], 2, {})]
    for devices, expected in ((1, "one process"), (3, "3 processes")):
        with pytest.raises(SettingError, match=f"weigh runs in {expected}, not in 2"):
            run_function(weigh, ["a", f"--devices={devices}"])


def test_several_processes_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingError, match="paint runs in one process, not in 2"):
        run_function(paint, ["a.png"])
