"""Fixtures: isolated tests, small datasets, and ways to run the program."""

import gc
import os
import shutil
import subprocess
import sys
from multiprocessing import Process
from pathlib import Path

import pytest
from helpers.processes import REPOSITORY, SERVER, run_as_program

from classifier.cli.lean_imports import defer_scipy_signal
from classifier.cli.main import main

# Fixtures import PyTorch and Lightning, because the process that distributes the tests loads this file as well.


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Import packages and tests like the program: garbage collection would take a fifth of the time."""
    gc.disable()
    try:
        with defer_scipy_signal():
            return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path):
    """Run every test in an empty folder, with its own cache, on one thread, without the previous test's seed."""
    import torch

    from classifier import silence_lightning

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.with_name(f"{tmp_path.name}_cache")))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    silence_lightning()
    yield
    for name in ("PL_GLOBAL_SEED", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)


@pytest.fixture
def fashion_root(tmp_path):
    from helpers.data_files import write_fashion_mnist

    return write_fashion_mnist(tmp_path / "data")


@pytest.fixture
def cifar_root(tmp_path, monkeypatch):
    from helpers.data_files import write_cifar10

    return write_cifar10(tmp_path / "data", monkeypatch)


@pytest.fixture
def make_trainer(tmp_path):
    """Return a function that makes a plain Trainer, as in a notebook."""
    import lightning as L
    from lightning.pytorch.loggers import TensorBoardLogger

    def make(max_epochs=1, **options):
        defaults = {
            "accelerator": "cpu",
            "logger": TensorBoardLogger(tmp_path, name="plain"),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
        }
        return L.Trainer(max_epochs=max_epochs, **{**defaults, **options})

    return make


@pytest.fixture
def run(capsys):
    """Return a function that runs a command line in this process and returns what it prints to stdout."""

    def run(*args: str) -> str:
        main([str(arg) for arg in args])
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


@pytest.fixture
def fail(capsys):
    """Return a function that runs a command line that must fail, and returns exit status and error line."""

    def fail(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        return stop.value.code, lines[0]

    return fail


@pytest.fixture
def run_program(tmp_path):
    """Return a function that runs `python -m classifier` in a new interpreter."""

    def run(*args: str) -> subprocess.CompletedProcess:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PL_")}
        environment["PYTHONPATH"] = str(REPOSITORY)
        command = [sys.executable, "-m", "classifier", *map(str, args)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def start(tmp_path):
    """Return a function that starts `python -m classifier` in the background and returns its process."""
    processes = []

    def start(*args: str, folder: Path = tmp_path) -> Process:
        processes.append(SERVER.Process(target=run_as_program, args=(tuple(map(str, args)), folder)))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()


@pytest.fixture(scope="module")
def trained_logs(request, tmp_path_factory):
    """Return the folder `lightning_logs` of a run that was trained with the arguments `FIT` of the test's module."""
    from classifier.cli.main import main

    folder = tmp_path_factory.mktemp("trained")
    previous = Path.cwd()
    os.chdir(folder)
    main([*request.module.FIT])
    os.chdir(previous)
    return folder / "lightning_logs"


@pytest.fixture
def _trained_run(trained_logs):
    """Copy the run of `trained_logs` into the current folder."""
    shutil.copytree(trained_logs, "lightning_logs")
