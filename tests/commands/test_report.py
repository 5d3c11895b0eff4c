"""The command `report`."""

import os
import shutil
from pathlib import Path

import pytest
from helpers.runs import FIT_DIGITS
from PIL import Image

import classifier
from classifier.analysis.results import evaluate
from classifier.cli.main import main
from classifier.commands.report import load_runs, report

FIT = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=5")


@pytest.fixture(scope="module")
def trained_logs(tmp_path_factory):
    """Return the folder `lightning_logs` of a run that was trained for some steps."""
    folder = tmp_path_factory.mktemp("trained")
    previous = Path.cwd()
    os.chdir(folder)
    main([*FIT])
    os.chdir(previous)
    return folder / "lightning_logs"


@pytest.fixture
def _trained(trained_logs):
    shutil.copytree(trained_logs, "lightning_logs")


@pytest.fixture
def _no_evaluation(monkeypatch):
    """Fail if a network is evaluated."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a network was evaluated")

    monkeypatch.setattr(evaluate.L.Trainer, "test", fail)


@pytest.mark.usefixtures("_trained")
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


@pytest.mark.usefixtures("_trained")
def test_several_runs_are_compared(run):
    run(*FIT, "--model.lr=0.1", "--trainer.max_epochs=2")
    lines = run("report", "version_0", "version_1", "--output", "both.html").splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["version_0", "version_1"]
    assert "version_1" in lines[6]
    assert " points " in lines[6]
    assert lines[-1] == "report: both.html"
    assert Path("both.html").is_file()
    assert not Path("report.html").exists()


@pytest.mark.usefixtures("_trained", "_no_evaluation")
@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (
            ("last", "--output", "x.txt"),
            2,
            "--output x.txt: the report is written as HTML, so give the file a name that",
        ),
        (("last", "--output", "missing/x.html"), 1, "--output missing/x.html cannot be written: No such file"),
        (("last", "version_0"), 2, "last.ckpt is named twice: give every run once"),
        (("last", "version_7"), 1, "version_7: there is no file version_7; give last, best, a run's name"),
        (("last", "damaged.ckpt"), 1, "damaged.ckpt"),
        ((), 2, "the following arguments are required: RUN"),
        (("last", "--epochs", "3"), 2, "--epochs"),
        (("last", "--precision", "no"), 2, "--precision no: "),
        (("last", "moved.ckpt"), 1, "gone"),
    ],
)
def test_errors_are_found_before_a_network_is_evaluated(run, fail, args, status, message, capsys):
    Path("damaged.ckpt").write_bytes(b"no checkpoint")
    if "moved.ckpt" in args:
        classes = [Path("gone", split, name) for split in ("train", "test") for name in ("a", "b")]
        for folder in classes:
            folder.mkdir(parents=True)
            shutil.copy(write_image(), folder / f"{folder.parent.name}.png")
        run("fit", "--model=MLP", "--data=ImageFolder", "--data.root=gone", "--trainer.max_epochs=1")
        shutil.copy("lightning_logs/version_1/checkpoints/last.ckpt", "moved.ckpt")
        shutil.rmtree("gone")
        args = ("version_0", "moved.ckpt")
    capsys.readouterr()
    exit_status, line = fail("report", *args)
    assert exit_status == status, line
    assert message in line
    assert not list(Path().glob("*.html"))


def write_image() -> Path:
    """Write a PNG file and return its path."""
    Image.new("RGB", (32, 32), (200, 10, 10)).save("image.png")
    return Path("image.png")


@pytest.mark.usefixtures("_trained")
def test_interrupted_report_leaves_no_file(monkeypatch):
    before = sorted(Path().iterdir())

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate.L.Trainer, "test", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report(["last"])
    assert sorted(Path().iterdir()) == before


@pytest.mark.usefixtures("_trained")
def test_two_checkpoints_of_a_run_are_named_by_their_paths():
    folder = "lightning_logs/version_0/checkpoints"
    shutil.copy(f"{folder}/last.ckpt", f"{folder}/other.ckpt")
    runs = load_runs(["last", f"{folder}/other.ckpt"], "report.html", {}, [])
    assert [run.name for run in runs] == [f"{folder}/last.ckpt", f"{folder}/other.ckpt"]


@pytest.mark.usefixtures("_trained")
def test_notebook_shows_the_page_in_a_frame_of_its_own():
    page = classifier.report("last", output="mine.html")
    assert Path("mine.html").read_text(encoding="utf-8") == page.page
    shown = page._repr_html_()
    assert shown.startswith('<iframe srcdoc="&lt;!')
    assert shown.count("<") == 2
    assert repr(page).startswith("version_0: MLP on Digits")


@pytest.mark.slow
@pytest.mark.usefixtures("_trained")
def test_report_is_the_same_with_two_processes(run_program):
    pages = []
    for devices in (1, 2):
        result = run_program("report", "last", "--devices", devices)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.count("checkpoint: ") == result.stdout.count("report: report.html") == 1
        pages.append(Path("report.html").read_bytes())
    assert pages[0] == pages[1]
