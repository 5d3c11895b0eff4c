"""The command `report`."""

import errno
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
import torch
from helpers.data_files import write_fashion_mnist
from helpers.html_pages import leave_plots_empty
from helpers.processes import REPOSITORY, wait_for
from helpers.runs import FIT_DIGITS, load_last

import classifier
from classifier.analysis.results import evaluate
from classifier.commands.report import load_runs, report

FIT = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=5")


@pytest.fixture
def _empty_plots(monkeypatch):
    leave_plots_empty(monkeypatch)


@pytest.fixture
def _no_evaluation(monkeypatch):
    """Fail if a network is evaluated."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a network was evaluated")

    monkeypatch.setattr(evaluate.L.Trainer, "test", fail)


@pytest.mark.usefixtures("_trained_run")
def test_report_prints_the_result_of_test_and_writes_a_page(run):
    printed = run("test").splitlines()[1]
    lines = run("report", "last").splitlines()
    assert lines[0] == "checkpoint: lightning_logs/version_0/checkpoints/last.ckpt"
    assert lines[1] == "version_0: MLP on Digits, 360 test images"
    values = {line[2:20].strip(): line[21:] for line in lines[2:] if line.startswith("  ")}
    loss, accuracy = values["loss"].split()[0], values["accuracy"].split()[0]
    assert printed == f"test loss {loss} accuracy {accuracy} (360 images)"
    assert lines[-1] == "report: report.html"
    page = Path("report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") or page.startswith("<!doctype html>")
    assert "version_0" in page
    assert "http-equiv" in page
    assert len(lines) <= 24


def copy_run(name: str) -> None:
    """Copy the run under another name, with other weights."""
    shutil.copytree("lightning_logs/version_0", f"lightning_logs/{name}")
    checkpoint = load_last()
    generator = torch.Generator().manual_seed(0)
    for weights in checkpoint["state_dict"].values():
        weights += 0.3 * torch.randn(weights.shape, generator=generator)
    torch.save(checkpoint, f"lightning_logs/{name}/checkpoints/last.ckpt")


@pytest.mark.usefixtures("_trained_run", "_empty_plots")
def test_several_runs_are_compared(run):
    copy_run("version_1")
    lines = run("report", "version_0", "version_1", "--output", "both.html").splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["version_0", "version_1"]
    assert "version_1" in lines[6]
    assert " points " in lines[6]
    assert lines[-1] == "report: both.html"
    assert Path("both.html").is_file()
    assert not Path("report.html").exists()


def deny_writing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create a folder in which no file can be created, not even by a privileged user."""
    folder.mkdir()
    make_folder = tempfile.mkdtemp

    def fail_in_folder(suffix: str | None, prefix: str | None, place: str | Path | None) -> str:
        if place == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return make_folder(suffix, prefix, place)

    monkeypatch.setattr(tempfile, "mkdtemp", fail_in_folder)


@pytest.mark.usefixtures("_trained_run", "_no_evaluation")
@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (
            ("last", "--output", "x.txt"),
            2,
            "--output x.txt: the report is written as HTML, so give the file a name that",
        ),
        (("last", "--output", "missing/x.html"), 1, "--output missing/x.html cannot be written: No such file"),
        (("last", "--output", "locked/x.html"), 1, "--output locked/x.html cannot be written: Permission denied"),
        (("last", "--data.batch_size", "8"), 2, "--data.batch_size: it has no effect on an evaluation; "),
        (("last", "version_7"), 1, "version_7: there is no file version_7; give last, best, a run's name"),
        (("last", "damaged.ckpt"), 1, "damaged.ckpt"),
        ((), 2, "the following arguments are required: RUN"),
        (("last", "--epochs", "3"), 2, "--epochs"),
        (("last", "--precision", "no"), 2, "--precision no: "),
        (("version_0", "moved.ckpt"), 1, "gone"),
    ],
)
def test_errors_are_found_before_a_network_is_evaluated(fail, monkeypatch, args, status, message):
    Path("damaged.ckpt").write_bytes(b"no checkpoint")
    checkpoint = load_last()
    checkpoint["classes"]["data"] = "classifier.ImageFolder"
    checkpoint["datamodule_hyper_parameters"] = {"root": "gone"}
    torch.save(checkpoint, "moved.ckpt")
    deny_writing(Path("locked"), monkeypatch)
    exit_status, line = fail("report", *args)
    assert exit_status == status, line
    assert message in line
    assert not list(Path().glob("*.html"))


@pytest.mark.usefixtures("_trained_run", "_empty_plots")
def test_last_and_best_are_evaluated_once_if_they_are_the_same(run):
    lines = run("report", "last", "best").splitlines()
    path = "lightning_logs/version_0/checkpoints/last.ckpt"
    assert lines[:2] == [f"best also means {path}, which is evaluated once", f"checkpoint: {path}"]
    assert lines[2].startswith("version_0: MLP on Digits")


@pytest.mark.usefixtures("_empty_plots")
def test_shipped_run_of_version_0_1_is_evaluated(run):
    write_fashion_mnist(Path("data"), train=10, test=20)
    lines = run("report", REPOSITORY / "lightning_logs" / "tutorial_fashion_mnist").splitlines()
    assert lines[1] == "tutorial_fashion_mnist: MLP on FashionMNIST, 20 test images"
    page = Path("report.html").read_text(encoding="utf-8")
    assert "60,000 training, 20 test" in page  # as recorded when it was trained
    assert "T-shirt/top" in page


@pytest.mark.usefixtures("_trained_run")
def test_interrupted_report_leaves_no_file(monkeypatch):
    before = sorted(Path().iterdir())

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate.L.Trainer, "test", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report(["last"])
    assert sorted(Path().iterdir()) == before


@pytest.mark.usefixtures("_trained_run")
def test_two_checkpoints_of_a_run_are_named_by_their_paths():
    folder = "lightning_logs/version_0/checkpoints"
    shutil.copy(f"{folder}/last.ckpt", f"{folder}/other.ckpt")
    runs = load_runs(["last", f"{folder}/other.ckpt"], "report.html", {}, [])
    assert [run.name for run in runs] == [f"{folder}/last.ckpt", f"{folder}/other.ckpt"]


@pytest.mark.usefixtures("_trained_run", "_empty_plots")
def test_notebook_shows_the_page_in_a_frame_of_its_own():
    page = classifier.report("last", output="mine.html")
    assert Path("mine.html").read_text(encoding="utf-8") == page.page
    shown = page._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!')
    assert shown.count("<") == 2
    assert repr(page).startswith("version_0: MLP on Digits")


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_run")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_report_that_is_stopped_by_a_signal_leaves_no_file_and_no_traceback(start, number, status):
    names = [f"copy_{number}" for number in range(6)]  # so that it takes some time
    for name in names:
        copy_run(name)
    before = {*Path().rglob("*")}
    process = start("report", *names)
    wait_for(lambda: Path("out").exists() and "checkpoint: " in Path("out").read_text())
    os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == status
    assert Path("err").read_text() == ""
    assert {*Path().rglob("*")} - before == {Path("out"), Path("err")}


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_run")
def test_report_is_the_same_with_two_processes(run_program):
    pages = []
    for devices in (1, 2):
        result = run_program("report", "last", "--devices", devices)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.count("checkpoint: ") == result.stdout.count("report: report.html") == 1
        pages.append(Path("report.html").read_bytes())
    assert pages[0] == pages[1]
