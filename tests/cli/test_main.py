"""The table of commands: help, mistyped commands, exit statuses, and what a command imports."""

import io
import os
import re
import signal
import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

import pytest
from helpers.processes import REPOSITORY
from helpers.runs import FIT_DIGITS
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from classifier.cli.main import COMMANDS, find_user_error, import_without_gc, main, restart_with_utf8_names
from classifier.errors import SettingError, UserError

HEAVY_PACKAGES = {"torch", "lightning", "jsonargparse"}


def run_python(code: str) -> subprocess.CompletedProcess:
    """Run code in a new interpreter that ends by printing the names of all imported modules to stderr."""
    code = f"import sys\ntry:\n    {code}\nfinally:\n    print(*sys.modules, sep='\\n', file=sys.stderr)"
    return subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)


def run_and_list_imports(*args: str) -> tuple[int, str, set[str]]:
    """Run `python -m classifier` in a new interpreter.

    Returns:
        Exit status, stdout, and the lines of stderr, which are any error and the names of all imported modules.
    """
    done = run_python(f"from classifier.cli.main import main; main({list(args)})")
    return done.returncode, done.stdout, set(done.stderr.splitlines())


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command_without_importing_pytorch(option):
    status, printed, imported = run_and_list_imports(option)
    assert status == 0
    assert printed.startswith("usage: python -m classifier COMMAND [options]\n")
    for name, command in COMMANDS.items():
        assert f"  {name:<12} {command.help}\n" in printed
    assert "classifier.cli.main" in imported
    assert not imported & HEAVY_PACKAGES


def test_version_is_that_of_the_installed_package_and_is_shown_without_importing_pytorch():
    status, printed, imported = run_and_list_imports("--version")
    assert (status, printed) == (0, f"classifier {version('classifier')}\n")
    assert not imported & HEAVY_PACKAGES


def test_version_of_a_package_that_is_not_installed_is_one_line(fail, monkeypatch):
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: raise_not_found(name))
    assert fail("--version") == (
        1,
        "python -m classifier: error: the package is not installed, and therefore has no version: pip install -e .",
    )


def raise_not_found(name: str) -> None:
    raise PackageNotFoundError(name)


def test_restart_with_utf8_names_keeps_the_encoding_of_standard_output(monkeypatch):
    started = []
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))
    for name in ("PYTHONUTF8", "PYTHONIOENCODING"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)
    restart_with_utf8_names()
    restart_with_utf8_names()  # which the new process does
    assert started == [(sys.executable, [sys.executable, *sys.orig_argv[1:]])]
    assert (os.environ["PYTHONUTF8"], os.environ["PYTHONIOENCODING"]) == ("1", "latin-1")


def test_argument_with_a_null_byte_is_refused(fail):
    assert fail("fit", "--config", "a\0b") == (2, "python -m classifier: error: an argument contains a null byte")


def test_help_is_the_same_as_that_of_the_module_run_as_a_program(run_program):
    done = run_program("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run_and_list_imports("--help")[1]


def test_mistyped_command_is_refused_with_a_suggestion_without_importing_pytorch():
    status, printed, lines = run_and_list_imports("fti", "--config", "digits")
    commands = "fit, validate, test, inspect, report, runs, predict, export, clear_cache"
    message = f"there is no command fti: give one of {commands}; did you mean fit?"
    assert (status, printed) == (2, "")
    assert f"python -m classifier: error: {message}" in lines
    assert not lines & HEAVY_PACKAGES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], f"a command is missing: give one of {', '.join(COMMANDS)}"),
        (["frob"], f"there is no command frob: give one of {', '.join(COMMANDS)}"),
        (
            ["pedict"],
            f"there is no command pedict: give one of {', '.join(COMMANDS)}; did you mean predict?",
        ),
    ],
)
def test_missing_or_unknown_command_lists_the_commands(fail, arguments, message):
    assert fail(*arguments) == (2, f"python -m classifier: error: {message}")


@pytest.mark.slow
def test_predict_imports_neither_tensorboard_nor_lightnings_command_line():
    status, printed, imported = run_and_list_imports("predict", "--help")
    assert (status, "--output" in printed) == (0, True)
    assert {"torch", "lightning.pytorch"} <= imported
    assert not imported & {"tensorboard", "torch.utils.tensorboard", "lightning.pytorch.cli"}


def test_environment_variable_shows_the_traceback_of_a_user_error(monkeypatch):
    monkeypatch.setenv("CLASSIFIER_TRACEBACK", "1")
    with pytest.raises(UserError, match="no run with a checkpoint"):
        main(["test", "--ckpt_path", "last"])


def test_environment_variable_of_0_shows_no_traceback(fail, monkeypatch):
    monkeypatch.setenv("CLASSIFIER_TRACEBACK", "0")
    assert fail("test", "--ckpt_path", "last")[0] == 1


def raise_from(error: Exception, cause: Exception) -> Exception:
    """Return an error that was raised from another one."""
    try:
        try:
            raise cause
        except type(cause) as inner:
            raise error from inner
    except type(error) as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("a file is missing"), 1),
        (SettingError("a value is wrong"), 2),
        (raise_from(RuntimeError("in a hook"), SettingError("a value is wrong")), 2),
        (OSError(28, "No space left on device"), 1),
        (MisconfigurationException("devices"), 2),
        (raise_from(RuntimeError("in a hook"), MisconfigurationException("devices")), 2),
    ],
    ids=repr,
)
def test_exit_status_is_1_for_the_outside_world_and_2_for_a_setting(error, status):
    assert find_user_error(error).exit_status == status


def test_error_of_the_program_itself_is_not_reported_as_a_user_error(monkeypatch):
    assert find_user_error(ZeroDivisionError()) is None
    monkeypatch.setattr("classifier.cli.lightning_cli.fit", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["fit"])


@pytest.mark.slow
def test_default_run_as_a_program_prints_no_warning_and_no_tip(run_program):
    done = run_program(*FIT_DIGITS, "--trainer.max_epochs", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3 + 4 + 4  # epochs, classes in columns, and the last lines


NASTY_NAMES = [
    *(
        "new\nline",
        "esc\x1b[31m",
        "rtl\u202e",
        "x" * 240,
        "-dash",
        "--flag",
        "a=b",
        "%s%d",
        "$HOME",
        "{x}",
        "[1]",
        "dot.",
    ),
    *("dot.", "space ", "nfde\u0301", "nfc\xe9", "\U0001f47b", "null", "~", "a: b", "bytes\udcff", "\u65e5\u672c"),
]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", NASTY_NAMES, ids=ascii)
def test_no_name_garbles_or_fails_the_output_in_any_encoding(monkeypatch, name, encoding):
    for argv in (["test", f"--ckpt_path=no/{name}"], [name]):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
        monkeypatch.setattr("sys.stdout", streams[0])
        monkeypatch.setattr("sys.stderr", streams[1])
        with pytest.raises(SystemExit) as stop:
            main(argv)
        for stream in streams:
            stream.flush()
        printed = streams[1].buffer.getvalue().decode(encoding)
        assert stop.value.code in (1, 2)
        assert printed.startswith("python -m classifier: error: ")
        assert printed.endswith("\n")
        assert printed[:-1].isprintable()


def test_closed_pipe_ends_the_program_like_sigpipe_and_without_a_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "classifier", "--help"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_warning_of_the_program_is_one_line_without_the_line_of_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["classifier", "--version"])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    main()
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("the folder\nis full", stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "python -m classifier: warning: the folder is full"
    assert re.fullmatch(r"python -m classifier: warning: .*test_main.py:\d+: DeprecationWarning: old", second)


def test_missing_package_is_reported_in_one_line(monkeypatch, fail):
    monkeypatch.delitem(sys.modules, "classifier.commands.clear_cache", raising=False)
    monkeypatch.setitem(sys.modules, "classifier.data.own_images.cache", None)  # Python then finds no such module
    status, line = fail("clear_cache")
    assert (status, "Python finds no module classifier.data.own_images.cache: activate" in line) == (1, True), line


@pytest.mark.parametrize("command", [["--model.help", "CNN"], ["fit", "--model.help=CNN"]])
def test_help_of_a_network_names_the_program_and_only_what_can_be_set(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main(command)
    printed = capsys.readouterr().out
    assert (stop.value.code, printed.splitlines()[0]) == (0, "usage: python -m classifier fit [options]")
    assert "--model.lr LR" in printed
    assert "image_shape" not in printed


def test_loading_of_libraries_is_shown_only_on_a_terminal_and_then_removed(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, shown in (("json.tool", ""), ("json.tool", "loading PyTorch and Lightning ...\r\033[K")):
        monkeypatch.delitem(sys.modules, name, raising=False)
        import_without_gc(name)
        assert terminal.getvalue() == shown
        terminal.isatty = lambda: True
    import_without_gc("json.tool")  # again
    assert terminal.getvalue() == shown
