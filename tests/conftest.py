"""Small data in the real file formats, and the ways in which the tests start a training."""

import hashlib
import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
import torchvision
from lightning.pytorch.loggers import TensorBoardLogger

import classifier.__main__ as program
from classifier.__main__ import main
from classifier.cli import silence_lightning

REPOSITORY = Path(__file__).parents[1]
# Importing everything takes seconds: this process does it once, and every program that a test starts is forked from it.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["classifier.cli"])


@pytest.fixture(autouse=True)
def _isolated(monkeypatch, tmp_path):
    """Run every test in an empty folder, on one thread, without the seed of the test before."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    silence_lightning()
    yield
    for name in ("PL_GLOBAL_SEED", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)


def make_images(count: int, channels: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy uint8 images (N, C, H, W) whose brightness tells their label, and labels (N,) from 0 to 9."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count) % 10)
    noise = generator.integers(0, 25, (count, channels, size, size))
    return (noise + 23 * labels[:, None, None, None]).astype(np.uint8), labels.astype(np.uint8)


def write_fashion_mnist(root: Path, train: int = 300, test: int = 130) -> Path:
    """Write IDX files as FashionMNIST's under a root."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, count, seed in (("train", train, 0), ("t10k", test, 1)):
        images, labels = make_images(count, 1, 28, seed)
        header = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes())
    return root


@pytest.fixture
def fashion_root(tmp_path):
    return write_fashion_mnist(tmp_path / "data")


@pytest.fixture
def cifar_root(tmp_path, monkeypatch):
    """Write batch files as CIFAR10's, and let torchvision know their md5 sums."""
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name, content):
        payload = pickle.dumps(content)
        (folder / name).write_bytes(payload)
        return hashlib.md5(payload).hexdigest()  # noqa: S324

    def write_images(name, count, seed):
        images, labels = make_images(count, 3, 32, seed)
        return [name, write(name, {"data": images.reshape(count, -1), "labels": labels.tolist()})]

    dataset = torchvision.datasets.CIFAR10
    train = [write_images(name, 12, i) for i, (name, _) in enumerate(dataset.train_list)]
    test = [write_images(name, 30, 9) for name, _ in dataset.test_list]
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    monkeypatch.setattr(dataset, "train_list", train)
    monkeypatch.setattr(dataset, "test_list", test)
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "md5": write("batches.meta", {"label_names": names})})
    return tmp_path / "data"


@pytest.fixture
def make_trainer(tmp_path):
    """Return a function that makes a plain Trainer, as in a notebook."""

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
    """Return a function that runs a command line in this process and returns what it printed."""

    def run(*args: str) -> str:
        main([str(arg) for arg in args])
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


@pytest.fixture
def fail(capsys):
    """Return a function that runs a command line that must fail, and returns its exit status and its one line."""

    def fail(*args: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(arg) for arg in args])
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        return stop.value.code, lines[0]

    return fail


@pytest.fixture
def run_program(tmp_path):
    """Return a function that runs `python -m classifier` as a program of its own."""

    def run(*args: str) -> subprocess.CompletedProcess:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PL_")}
        environment["PYTHONPATH"] = str(REPOSITORY)
        command = [sys.executable, "-m", "classifier", *map(str, args)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    return run


def be_program(args: tuple[str, ...], folder: Path) -> None:
    """Behave as `python -m classifier ARGS` in a folder, with the output in its files `out` and `err`."""
    os.chdir(folder)
    sys.path.insert(0, "")
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["classifier", *args]
    sys.modules["__main__"] = program  # by which Lightning starts further processes
    main(list(args))


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a program and returns its process, which is not waited for."""
    processes = []

    def start(*args: str, folder: Path = tmp_path) -> multiprocessing.Process:
        processes.append(SERVER.Process(target=be_program, args=(tuple(map(str, args)), folder)))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()


def wait_for(condition, seconds: float = 60) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: When it does not in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)
