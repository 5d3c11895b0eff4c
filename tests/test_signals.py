"""Stopping a run from outside."""

import contextlib
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from conftest import wait_for

ENDLESS = ("fit", "--config", "digits", "--pictures", "false", "--trainer.max_epochs", "100000")
TWO_PROCESSES = ("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp")
OUT, ERR = Path("out"), Path("err")
LAST = Path("lightning_logs/version_0/checkpoints/last.ckpt")


def find_running() -> dict[int, int]:
    """Return the processes that run, and the parent of each."""
    running = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                running[int(folder.name)] = int(parent)
    return running


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_says_how_to_go_on_and_does(start, run, number, status):
    process = start(*ENDLESS)
    wait_for(lambda: OUT.exists() and "epoch 2/" in OUT.read_text())
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == status
    assert OUT.read_text().endswith("stopped; go on: python -m classifier fit --ckpt_path lightning_logs/version_0\n")
    assert ERR.read_text() == ""
    done = torch.load(LAST, weights_only=True)["epoch"] + 1
    printed = run("fit", "--ckpt_path", "lightning_logs/version_0", "--trainer.max_epochs", str(done + 1))
    assert f"epoch {done + 1}/{done + 1}" in printed


def test_a_run_that_is_being_trained_is_not_resumed_by_another_start(start, fail, capsys):
    start(*ENDLESS)
    wait_for(lambda: OUT.exists() and "epoch 2/" in OUT.read_text())
    status, line = fail("fit", "--ckpt_path", "last", "--trainer.max_epochs", "200000")
    assert "go on" not in capsys.readouterr().out
    assert (status, "version_0 is being written by another process" in line) == (1, True), line


def test_sigterm_stops_two_processes_and_leaves_none(start):
    process = start(*ENDLESS, *TWO_PROCESSES)
    wait_for(lambda: OUT.exists() and "epoch 2/" in OUT.read_text())
    (child,) = (pid for pid, parent in find_running().items() if parent == process.pid)
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode == 143
    epochs = re.findall(r"^epoch (\d+)/", OUT.read_text(), re.MULTILINE)
    assert epochs == [str(number + 1) for number in range(len(epochs))]
    assert OUT.read_text().count("stopped; go on: ") == 1
    assert len(list(Path("lightning_logs").glob("*/events*"))) == 1
    assert ERR.read_text() == ""
    wait_for(lambda: child not in find_running(), 5)
    assert torch.load(LAST, weights_only=True)["epoch"] >= 1


def test_a_run_stopped_within_its_first_epoch_says_that_nothing_is_saved(start):
    process = start(*ENDLESS, "--data.batch_size", "1")
    wait_for(lambda: OUT.exists() and "MLP with" in OUT.read_text())
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode == 143
    assert OUT.read_text().endswith("stopped; no epoch is saved yet\n")
