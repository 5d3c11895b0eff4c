"""Slow proofs that no run is lost: `python -m pytest tests/benchmarks/test_recovery.py` (minutes)."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import lightning as L
import pytest
import torch
from conftest import SERVER, wait_for

from classifier import MLP, FashionMNIST
from classifier.checkpoints import load_checkpoint

REAL_DATA = Path(__file__).parents[2] / "data"
ENDLESS = ("fit", "--config", "digits", "--pictures", "false", "--trainer.max_epochs", "100000")


def test_after_a_kill_at_any_moment_every_checkpoint_loads_and_the_run_goes_on(start, run):
    generator = random.Random(0)  # noqa: S311
    for number in range(30):
        run_folder = Path(f"lightning_logs/version_{number}")
        # Wide layers and validation images: saving, of two files, takes a good part of the time.
        process = start(*ENDLESS, "--model.hidden_sizes=[2000,2000]", "--data.val_split", "200")
        wait_for(lambda folder=run_folder: (folder / "checkpoints" / "last.ckpt").exists())
        time.sleep(generator.uniform(0, 1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        files = list(run_folder.glob("checkpoints/*.ckpt"))
        assert {file.name for file in files} == {"best.ckpt", "last.ckpt"}
        epochs = [load_checkpoint(file)["epoch"] for file in files]
    printed = run("fit", "--ckpt_path", "last", "--trainer.max_epochs", str(max(epochs) + 2))
    assert f"epoch {max(epochs) + 2}/" in printed


def test_two_starts_at_once_never_share_a_folder(start):
    for _ in range(10):
        pair = [start("fit", "--config", "digits", "--trainer.max_epochs", "1") for _ in range(2)]
        for process in pair:
            process.join()
            assert process.exitcode == 0
    folders = list(Path("lightning_logs").iterdir())
    assert len(folders) == 20
    assert all(len(list(folder.glob("events*"))) == 1 for folder in folders)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 600 KB and return its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("mounting takes the rights of an administrator")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


TWO_PROCESSES = ("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp")


@pytest.mark.parametrize("more", [(), TWO_PROCESSES], ids=["one process", "two processes"])
def test_on_a_full_disk_the_run_stops_with_a_sentence_and_the_checkpoint_before_loads(start, run, small_disk, more):
    process = start(*ENDLESS, *more, "--trainer.default_root_dir", small_disk)  # a checkpoint of 430 KB fits in once
    process.join(60)
    assert process.exitcode == 1
    time.sleep(5 if more else 0)  # in which a process left over would complain
    (line,) = Path("err").read_text().splitlines()
    assert line.endswith("last.ckpt: No space left on device; the checkpoint before is kept")
    (file,) = small_disk.rglob("*.ckpt*")
    assert load_checkpoint(file)["epoch"] == 0
    shutil.copy(file, "copy.ckpt")
    assert "epoch 2/2" in run("fit", "--ckpt_path", "copy.ckpt", "--trainer.max_epochs", "2")


@pytest.mark.parametrize("option", ["size=600k,ro", "size=4k"])
def test_a_disk_that_cannot_be_written_is_named_before_training(start, small_disk, option):
    subprocess.run(["mount", "-o", f"remount,{option}", small_disk], check=True)  # noqa: S607
    process = start(*ENDLESS, "--trainer.default_root_dir", small_disk)
    process.join(60)
    assert process.exitcode == 1
    (line,) = Path("err").read_text().splitlines()
    assert ("Read-only file system" if "ro" in option else "No space left on device") in line
    assert "epoch" not in Path("out").read_text().replace("no epoch is saved yet", "")


class OneImageLess(FashionMNIST):
    """FashionMNIST with 9,999 test images."""

    def read(self, train):
        images, labels = super().read(train)
        return (images, labels) if train else (images[1:], labels[1:])


def score(data_class, devices, file):
    """Score the test images with several processes and keep the figures that the first one has."""
    torch.manual_seed(0)
    strategy = "ddp_fork" if devices > 1 else "auto"
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(devices=devices, strategy=strategy, **options)
    figures = trainer.test(MLP(), data_class(root=str(REAL_DATA)), verbose=False)[0]
    torch.save({key: float(value) for key, value in figures.items()}, file)


@pytest.mark.parametrize("data_class", [FashionMNIST, OneImageLess])
def test_real_figures_are_the_same_with_one_two_and_three_processes(tmp_path, data_class):
    figures = []
    for devices in (1, 2, 3):
        process = SERVER.Process(target=score, args=(data_class, devices, tmp_path / "figures"))
        process.start()
        process.join()
        figures.append(torch.load(tmp_path / "figures"))
    print(figures)
    assert len({figure["accuracy/test"] for figure in figures}) == 1
    assert max(figure["loss/test"] for figure in figures) - min(figure["loss/test"] for figure in figures) < 1e-6
