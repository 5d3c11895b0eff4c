"""Runs that are stopped by a signal, and runs that two programs would write to."""

import contextlib
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from helpers.processes import wait_for
from helpers.runs import FIT_DIGITS, LOGS

ENDLESS = (*FIT_DIGITS, "--trainer.max_epochs", "100000")
TWO_PROCESSES = ("--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.strategy", "ddp")
OUT, ERR = Path("out"), Path("err")
LAST = LOGS / "version_0" / "checkpoints" / "last.ckpt"
CONTINUE = "stopped; continue with: python -m classifier fit --ckpt_path lightning_logs/version_0\n"


def find_running() -> dict[int, int]:
    """Return the ids of all running processes, each with the id of its parent."""
    running = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                running[int(folder.name)] = int(parent)
    return running


def wait_for_epoch(number: int) -> None:
    """Wait until the program has printed the line of an epoch; the checkpoint of the epoch before is written then."""
    wait_for(lambda: OUT.exists() and f"epoch {number}/" in OUT.read_text())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_run_prints_the_command_that_continues_it(start, run, number, status):
    process = start(*ENDLESS)
    wait_for_epoch(2)
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == status
    assert OUT.read_text().endswith(CONTINUE)
    assert ERR.read_text() == ""
    done = torch.load(LAST, weights_only=True)["epoch"] + 1
    command = CONTINUE.split("classifier ")[1].split()
    printed = run(*command, "--trainer.max_epochs", str(done + 1))
    assert f"epoch {done + 1}/{done + 1}" in printed


def test_run_that_another_process_is_training_is_not_resumed(start, fail, capsys):
    start(*ENDLESS)
    wait_for_epoch(2)
    config = (LOGS / "version_0" / "config.yaml").read_text()
    status, line = fail("fit", "--ckpt_path", "last", "--trainer.max_epochs", "200000")
    assert "continue with" not in capsys.readouterr().out
    message = "another process is writing to lightning_logs/version_0: stop it, or wait for it"
    assert (status, message in line) == (1, True), line
    assert (LOGS / "version_0" / "config.yaml").read_text() == config


def test_run_whose_process_was_killed_can_be_resumed(start, run):
    process = start(*ENDLESS)
    wait_for_epoch(2)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    done = torch.load(LAST, weights_only=True)["epoch"] + 1
    printed = run("fit", "--ckpt_path", "last", "--trainer.max_epochs", str(done + 1))
    assert f"epoch {done + 1}/{done + 1}" in printed


def test_sigterm_stops_both_of_two_processes(start):
    process = start(*ENDLESS, *TWO_PROCESSES)
    wait_for_epoch(3)
    (child,) = (pid for pid, parent in find_running().items() if parent == process.pid)
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode == 143
    epochs = re.findall(r"^epoch (\d+)/", OUT.read_text(), re.MULTILINE)
    assert epochs == [str(number + 1) for number in range(len(epochs))]
    assert OUT.read_text().count("stopped; continue with: ") == 1
    assert len(list(LOGS.glob("*/events*"))) == 1
    assert ERR.read_text() == ""
    wait_for(lambda: child not in find_running(), 5)
    assert torch.load(LAST, weights_only=True)["epoch"] >= 1


def test_run_stopped_in_its_first_epoch_reports_that_nothing_is_saved(start):
    process = start(*ENDLESS, "--data.batch_size", "1")
    wait_for(lambda: OUT.exists() and "MLP with" in OUT.read_text())
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    assert process.exitcode == 143
    assert OUT.read_text().endswith("stopped; no epoch is saved yet\n")
