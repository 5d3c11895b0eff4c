"""Summaries of the runs in a folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.processes import REPOSITORY
from helpers.run_folders import write_run

from classifier.errors import UserError
from classifier.runs.folders import lock_run_dir
from classifier.runs.history import LOCK, LOGS, record_start
from classifier.runs.summaries import find_runs, read_summary

TWO_EPOCHS = [
    {"accuracy/val": 0.5, "loss/val": 1.0, "accuracy/test": 0.4, "loss/train": 0.1, "lr": 0.1, "f1/val": 0.3},
    {"accuracy/val": 0.5, "loss/val": 0.9, "accuracy/test": 0.6, "loss/train": 0.1, "lr": 0.1, "f1/val": None},
]


def test_metrics_are_those_of_the_first_epoch_with_the_highest_validation_accuracy():
    summary = read_summary(write_run(Path("a"), TWO_EPOCHS, seed=3))
    assert (summary.name, summary.seed, summary.epochs, summary.best_epoch) == ("a", 3, 2, 1)
    assert summary.metrics == {"accuracy/val": 0.5, "accuracy/test": 0.4, "loss/val": 1.0, "f1/val": 0.3}


def test_metrics_are_those_of_the_last_epoch_without_validation_images():
    summary = read_summary(write_run(Path("a"), [{"accuracy/test": 0.9}, {"accuracy/test": 0.8, "loss/test": 0.5}]))
    assert (summary.best_epoch, summary.metrics) == (None, {"accuracy/test": 0.8, "loss/test": 0.5})


def test_settings_have_the_names_of_options_and_classes_of_the_package_no_prefix():
    settings = read_summary(write_run(Path("a"), model__lr=0.3, data__class_path="mine.Stripes")).settings
    assert settings == {
        "seed_everything": 0,
        "trainer.max_epochs": 2,
        "model": "MLP",
        "model.lr": 0.3,
        "data": "mine.Stripes",
        "data.batch_size": 64,
        "threads": 1,
    }


def test_settings_of_a_run_without_config_are_those_in_its_results():
    Path("a").mkdir()
    recorded = {"model": {"lr": 0.2}, "data": {"batch_size": 8}}
    results = {"model": "CNN", "data": "MNIST", "seed": 1, "epochs": [], "hyperparameters": recorded}
    Path("a/results.json").write_text(json.dumps(results))
    summary = read_summary(Path("a"))
    assert summary.settings == {"model": "CNN", "data": "MNIST", "model.lr": 0.2, "data.batch_size": 8}


@pytest.mark.parametrize(
    ("epochs", "trainer", "state"),
    [
        ([{}, {}], {}, "finished"),
        ([{}], {}, "stopped"),
        ([{}, {"batches": 5}], {}, "stopped"),
        (None, {}, "stopped"),
        ([{}, {}], {"trainer__max_epochs": -1}, "stopped"),
    ],
)
def test_run_is_finished_once_it_has_done_all_epochs(epochs, trainer, state):
    assert read_summary(write_run(Path("a"), epochs, **trainer)).state == state


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("max_steps 100 reached", "finished"),
        ("EarlyStopping: accuracy/val has not improved", "finished"),
        ("interrupted", "stopped"),
        ("UserError: No space left on device", "stopped"),
        (None, "stopped"),
    ],
)
def test_run_that_stopped_before_its_last_epoch_is_finished_unless_an_error_or_a_person_ended_it(reason, state):
    folder = write_run(Path("a"), [{}])
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**results, "stopped": reason}))
    assert read_summary(folder).state == state


def test_metrics_of_the_best_evaluation_are_those_that_the_run_recorded():
    folder = write_run(Path("a"), [{"accuracy/val": 0.5, "f1/val": 0.3}, {"accuracy/val": 0.4}])
    results = json.loads((folder / "results.json").read_text())
    results["best"] = {"epoch": 1, "step": 7, "accuracy/val": 0.6, "checkpoint": "checkpoints/best.ckpt"}
    (folder / "results.json").write_text(json.dumps(results))
    summary = read_summary(folder)
    assert (summary.best_epoch, summary.metrics) == (1, {"accuracy/val": 0.6, "f1/val": 0.3})


def test_run_is_running_while_its_folder_is_locked_and_the_lock_can_be_taken_while_it_is_looked_up():
    folder = write_run(Path("a"), [{}, {}])
    with lock_run_dir(folder):
        assert read_summary(folder).state == "running"
    os.utime(folder / LOCK, (5, 5))
    assert read_summary(folder).state == "finished"
    assert (folder / LOCK).stat().st_mtime == 5  # the time of the start of the run, by which last finds it
    with lock_run_dir(folder):
        pass


def test_size_is_that_of_all_files():
    folder = write_run(Path("a"), [])
    before = read_summary(folder).size
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(bytes(1000))
    assert before == sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    assert read_summary(folder).size == before + 1000


def test_runs_are_in_the_order_of_their_start_and_include_those_stored_elsewhere():
    logs = Path(LOGS)
    for hours, folder in ((3, logs / "b"), (1, logs / "version_10"), (2, Path("else/there/c"))):
        write_run(folder, [])
        with lock_run_dir(folder):
            record_start(folder)
        os.utime(folder / LOCK, (hours, hours))
    runs, damaged, num_others = find_runs()
    assert [run.name for run in runs] == ["version_10", "else/there/c", "b"]
    assert (damaged, num_others) == ([], 0)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"epochs": 3}',
        '{"epochs": [5]}',
        '{"epochs": [{"epoch": "1"}]}',
        "\xff",
        '{"a": ' + "[" * 60 + "]" * 60 + "}",
    ],
)
def test_damaged_runs_and_folders_that_are_no_runs_are_counted(content):
    write_run(Path(LOGS, "good"), [])
    Path(write_run(Path(LOGS, "damaged")), "results.json").write_text(content, encoding="latin1")
    Path(LOGS, "notes").mkdir()
    runs, damaged, num_others = find_runs()
    assert ([run.name for run in runs], damaged, num_others) == (["good"], [Path(LOGS, "damaged")], 1)


def test_missing_folder_is_refused():
    with pytest.raises(UserError, match=r"^nowhere cannot be read: No such file or directory; give the folder"):
        find_runs(Path("nowhere"))


def test_table_of_runs_needs_neither_pytorch_nor_lightning():
    write_run(Path(LOGS, "a"), TWO_EPOCHS)
    code = (
        "import sys; from classifier.cli.main import main; main(['runs', '--sort', 'accuracy/val'])\n"
        "assert not {'torch', 'lightning', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
