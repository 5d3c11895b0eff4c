"""Slow tests: killed runs, full disks, and real data on several processes.

    python -m pytest -n 0 tests/benchmarks/test_recovery.py  # takes minutes

Those of full disks mount file systems, which needs root; the last one needs the files of FashionMNIST under `data`.
"""

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
from helpers.processes import SERVER, wait_for

from classifier import MLP, FashionMNIST
from classifier.runs.checkpoints import load_checkpoint

REAL_DATA = Path(__file__).parents[2] / "data"
ENDLESS = ("fit", "--config", "digits", "--pictures", "false", "--trainer.max_epochs", "100000")


def test_a_run_killed_at_a_random_moment_leaves_checkpoints_that_load_and_can_be_resumed(start, run):
    generator = random.Random(0)  # noqa: S311
    for number in range(30):
        run_dir = Path(f"lightning_logs/version_{number}")
        # Wide layers and two checkpoints per epoch: a large part of the time is spent saving.
        process = start(*ENDLESS, "--model.hidden_sizes=[2000,2000]", "--data.val_split", "200")
        wait_for(lambda folder=run_dir: (folder / "checkpoints" / "last.ckpt").exists())
        time.sleep(generator.uniform(0, 1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        files = list(run_dir.glob("checkpoints/*.ckpt"))
        assert {file.name for file in files} == {"best.ckpt", "last.ckpt"}
        epochs = [load_checkpoint(file)["epoch"] for file in files]
    last_epoch = max(epochs) + 2
    assert f"epoch {last_epoch}/" in run("fit", "--ckpt_path", "last", "--trainer.max_epochs", str(last_epoch))


def test_two_runs_that_start_at_the_same_time_get_different_folders(start):
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
    """Return a folder that is a file system of 600 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


TWO_PROCESSES = ("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp")


@pytest.mark.parametrize("more", [(), TWO_PROCESSES], ids=["one process", "two processes"])
def test_a_full_disk_stops_the_run_with_one_line_and_the_previous_checkpoint_loads(start, run, small_disk, more):
    process = start(*ENDLESS, *more, "--trainer.default_root_dir", small_disk)  # one checkpoint of 430 KB fits
    process.join(60)
    assert process.exitcode == 1
    time.sleep(5 if more else 0)  # in that time, a process that is still running would report an error
    (line,) = Path("err").read_text().splitlines()
    assert line.endswith("last.ckpt: No space left on device; the previous checkpoint is still there")
    (file,) = small_disk.rglob("*.ckpt*")
    assert load_checkpoint(file)["epoch"] == 0
    shutil.copy(file, "copy.ckpt")
    assert "epoch 2/2" in run("fit", "--ckpt_path", "copy.ckpt", "--trainer.max_epochs", "2")


@pytest.mark.parametrize("option", ["size=600k,ro", "size=4k"])
def test_a_disk_that_cannot_be_written_to_is_reported_before_training(start, small_disk, option):
    subprocess.run(["mount", "-o", f"remount,{option}", small_disk], check=True)  # noqa: S607
    process = start(*ENDLESS, "--trainer.default_root_dir", small_disk)
    process.join(60)
    assert process.exitcode == 1
    (line,) = Path("err").read_text().splitlines()
    assert ("Read-only file system" if "ro" in option else "No space left on device") in line
    assert "epoch" not in Path("out").read_text().replace("no epoch is saved yet", "")


class OneTestImageLess(FashionMNIST):
    """FashionMNIST with 9,999 test images."""

    def read(self, split):
        images, labels = super().read(split)
        return (images[1:], labels[1:]) if split == "test" else (images, labels)


def score(data_class, devices, file):
    """Score the test images with several processes, and save the metrics that the first one returns."""
    torch.manual_seed(0)
    strategy = "ddp_fork" if devices > 1 else "auto"
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(devices=devices, strategy=strategy, **options)
    metrics = trainer.test(MLP(), data_class(root=str(REAL_DATA)), verbose=False)[0]
    torch.save({key: float(value) for key, value in metrics.items()}, file)


@pytest.mark.parametrize("data_class", [FashionMNIST, OneTestImageLess])
def test_metrics_of_the_real_test_images_are_the_same_on_one_two_and_three_processes(tmp_path, data_class):
    results = []
    for devices in (1, 2, 3):
        process = SERVER.Process(target=score, args=(data_class, devices, tmp_path / "metrics"))
        process.start()
        process.join()
        assert process.exitcode == 0
        results.append(torch.load(tmp_path / "metrics"))
    accuracies, losses = ([metrics[tag] for metrics in results] for tag in ("accuracy/test", "loss/test"))
    assert len(set(accuracies)) == 1
    assert max(losses) - min(losses) < 1e-6
