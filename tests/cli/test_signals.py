"""Runs that are stopped by a signal, and runs that two programs would write to."""

import contextlib
import hashlib
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
from helpers.processes import SERVER, run_as_program, wait_for
from helpers.runs import FIT_DIGITS, LOGS

from classifier.cli import signals

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


@pytest.mark.slow
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


def block(folder: Path, replaces_handler: bool) -> None:
    """Call C code that no signal interrupts for 20 s, and write to a file what happened."""
    from classifier.cli import signals

    os.chdir(folder)
    signals.SECONDS_TO_RESPOND = 0.2
    with signals.raise_on_signals(), signals.exit_if_blocked(lambda: Path("exit").touch()):
        if replaces_handler:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
        Path("started").touch()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2 * 10**6 if replaces_handler else 10**8)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_process_whose_main_thread_is_blocked_exits_after_a_signal(tmp_path, number, status):
    process = SERVER.Process(target=block, args=(tmp_path, False))
    process.start()
    wait_for(Path("started").exists)
    os.kill(process.pid, number)
    process.join(15)
    assert process.exitcode == status
    assert Path("exit").exists()


def test_handler_of_somebody_else_is_waited_for(tmp_path):
    process = SERVER.Process(target=block, args=(tmp_path, True))
    process.start()
    wait_for(Path("started").exists)
    os.kill(process.pid, signal.SIGTERM)
    process.join(15)
    assert process.exitcode == 7


def test_signal_that_the_main_thread_handles_raises_an_exception_and_everything_is_restored():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number, kind in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, signals.Terminated)):
        threads = threading.active_count()
        with pytest.raises(kind), signals.raise_on_signals(), signals.exit_if_blocked(pytest.fail):
            signal.raise_signal(number)
        assert threading.active_count() == threads
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_signal_of_a_forked_process_does_not_reach_its_parent():
    with signals.exit_if_blocked(lambda: None):
        pid = os.fork()
        if pid == 0:
            os._exit(signal.set_wakeup_fd(-1) == -1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def wait_for_another_node(folder: Path) -> None:
    """Train on the first of two nodes, the second of which is never started, with short waits."""
    from classifier.cli import processes, signals

    processes.SECONDS_UNTIL_MESSAGE = signals.SECONDS_TO_RESPOND = 0.5
    os.environ["MASTER_PORT"] = "29543"
    run_as_program((*ENDLESS, "--trainer.accelerator", "cpu", "--trainer.num_nodes", "2"), folder)


def test_process_that_waits_for_another_node_says_so_and_is_stopped_by_sigterm(tmp_path):
    process = SERVER.Process(target=wait_for_another_node, args=(tmp_path,))
    process.start()
    wait_for(lambda: OUT.exists() and "waiting for" in OUT.read_text())
    os.kill(process.pid, signal.SIGTERM)
    process.join(15)
    assert process.exitcode == 143
    message = "waiting for 2 processes on 2 nodes at 127.0.0.1:29543\n\nstopped; no epoch is saved yet\n"
    assert (OUT.read_text(), ERR.read_text()) == (message, "")


def test_two_signals_in_quick_succession_do_not_end_a_process_that_responds(monkeypatch):
    exits = []
    monkeypatch.setattr(signals.os, "_exit", exits.append)
    monkeypatch.setattr(signals, "SECONDS_TO_RESPOND", 0.2)
    with signals.raise_on_signals(), signals.exit_if_blocked(lambda: None):
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        time.sleep(0.8)
    assert exits == []
