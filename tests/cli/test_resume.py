"""`fit --ckpt_path`: runs that continue from a checkpoint."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from helpers.file_data import FileDigits
from helpers.runs import FIT_DIGITS, LOGS, get_weights, load_last, read_events, read_results

TWO_EPOCHS = (*FIT_DIGITS, "--trainer.max_epochs", "2")
CONTINUE = ("fit", "--pictures=false", "--ckpt_path", "last", "--trainer.max_epochs")
LAST = LOGS / "version_0" / "checkpoints" / "last.ckpt"
RESULTS = LOGS / "version_0" / "results.json"


def read_files() -> dict[Path, bytes]:
    """Return the content of every file of every run."""
    return {path: path.read_bytes() for path in LOGS.rglob("*") if path.is_file()}


def list_epochs(run: str = "version_0") -> list[int]:
    """Return the numbers of the epochs that a run has recorded."""
    return [epoch["epoch"] for epoch in read_results(run)["epochs"]]


def remove_recorded_epochs() -> None:
    """Remove the recorder's state from the last checkpoint, as in those of version 0.1."""
    checkpoint = load_last()
    del checkpoint["callbacks"]["ResultsRecorder"]
    torch.save(checkpoint, LAST)


def test_options_of_the_command_line_win_over_those_in_the_checkpoint(run):
    run(*TWO_EPOCHS)
    run(*CONTINUE, "3", "--model.lr", "0.5", "--data.batch_size", "32")
    config = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert config["model"]["init_args"]["lr"] == 0.5
    assert config["data"]["init_args"]["batch_size"] == 32
    assert read_results()["epochs"][-1]["lr"] == 0.5


def test_resumed_run_ends_with_the_same_weights_and_results_as_an_uninterrupted_one(run):
    run(*TWO_EPOCHS)
    run(*CONTINUE, "4")
    run(*FIT_DIGITS, "--trainer.max_epochs", "4")
    assert list_epochs() == [1, 2, 3, 4]
    resumed, uninterrupted = get_weights("version_0"), get_weights("version_1")
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in uninterrupted)
    momenta = [
        [state["momentum_buffer"] for state in load_last(f"version_{i}")["optimizer_states"][0]["state"].values()]
        for i in (0, 1)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*momenta, strict=True))
    timed = {"seconds", "speed/images_per_second"}
    resumed, uninterrupted = (read_results(f"version_{i}")["epochs"] for i in (0, 1))
    assert [{key: epoch[key] for key in epoch.keys() - timed} for epoch in resumed] == [
        {key: epoch[key] for key in epoch.keys() - timed} for epoch in uninterrupted
    ]


def test_run_resumed_from_an_earlier_epoch_has_one_point_per_epoch_in_its_curves(run):
    run(*TWO_EPOCHS, "--data.val_split", "300")
    earlier = LAST.read_bytes()
    run(*CONTINUE, "4", "--model.lr", "0.3")
    LAST.write_bytes(earlier)
    run(*CONTINUE, "3")
    events = read_events("lightning_logs/version_0").Scalars("loss/test")
    assert [event.step for event in events] == [1, 2, 3]
    assert [event.value for event in events] == pytest.approx(
        [epoch["loss/test"] for epoch in read_results()["epochs"]]
    )


def test_resumed_run_knows_its_best_epoch_and_its_config_starts_from_the_beginning(run):
    run(*FIT_DIGITS, "--data.val_split", "300", "--trainer.max_epochs", "3")
    best = max(epoch["accuracy/val"] for epoch in read_results()["epochs"])
    assert load_last()["callbacks"]["best"]["best_model_score"].item() == pytest.approx(best)
    run(*CONTINUE, "4")
    assert list_epochs() == [1, 2, 3, 4]
    run("fit", "--config", "lightning_logs/version_0/config.yaml")
    assert list_epochs("version_1") == [1, 2, 3, 4]


def test_finished_run_is_not_resumed_without_more_epochs(run, fail):
    run(*TWO_EPOCHS)
    config = Path("lightning_logs/version_0/config.yaml").read_text()
    status, line = fail("fit", "--ckpt_path", "last")
    message = "has done 2 of 2 epochs: to continue, set --trainer.max_epochs above 2"
    assert (status, message in line) == (2, True), line
    assert Path("lightning_logs/version_0/config.yaml").read_text() == config


def test_resumed_run_continues_in_its_folder_outside_the_usual_place_with_its_own_settings(run):
    run(*TWO_EPOCHS, "--trainer.default_root_dir", "runs", "--trainer.limit_train_batches", "5")
    run("fit", "--pictures=false", "--ckpt_path", "runs/lightning_logs/version_0", "--trainer.max_epochs", "3")
    assert [path.name for path in Path("runs/lightning_logs").iterdir()] == ["version_0"]
    assert [path.name for path in LOGS.iterdir()] == [".runs_elsewhere"]
    epochs = json.loads(Path("runs/lightning_logs/version_0/results.json").read_text())["epochs"]
    assert [epoch["images_scored"]["train"] for epoch in epochs] == [320, 320, 320]


def test_refused_resumption_leaves_the_files_of_the_run_unchanged(run, fail):
    run(*TWO_EPOCHS)
    before = read_files()
    options = ("--model.hidden_sizes=[32]", "--trainer.max_epochs", "4")
    assert "does not fit this MLP" in fail("fit", "--ckpt_path", "last", *options)[1]
    assert read_files() == before


@pytest.mark.parametrize("content", [None, "{"], ids=["deleted", "damaged"])
def test_resumed_run_restores_its_results_from_the_checkpoint(run, content):
    run(*TWO_EPOCHS)
    before = read_results()["epochs"]
    RESULTS.unlink()
    if content is not None:
        RESULTS.write_text(content)
    run(*CONTINUE, "3")
    assert list_epochs() == [1, 2, 3]
    assert read_results()["epochs"][:2] == before


def test_checkpoint_without_recorded_epochs_continues_the_results_of_its_folder(run):
    run(*TWO_EPOCHS)
    before = read_results()["epochs"]
    remove_recorded_epochs()
    run(*CONTINUE, "3")
    assert list_epochs() == [1, 2, 3]
    assert read_results()["epochs"][:2] == before


def test_checkpoint_without_recorded_epochs_and_with_damaged_results_records_the_epochs_that_follow(run):
    run(*TWO_EPOCHS)
    remove_recorded_epochs()
    RESULTS.write_text("{")
    run(*CONTINUE, "3")
    assert list_epochs() == [3]


FIT_FILES = (
    "fit", "--model=MLP", "--data=helpers.file_data.FileDigits", "--data.root=photos", "--data.batch_size=50",
    "--pictures=false", "--trainer.max_epochs=1",
)  # fmt: skip
CONTINUE_FILES = ("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--allow_import=helpers")


def test_run_whose_training_images_have_changed_is_refused_before_its_folder_is_touched(run, fail, monkeypatch):
    run(*FIT_FILES)
    before = read_files()
    monkeypatch.setattr(FileDigits, "indices", {"train": [*range(199), 300, 301]})
    status, line = fail(*CONTINUE_FILES)
    assert (status, line) == (
        1,
        "python -m classifier: error: 2 images were added to and 1 removed from the training set since the checkpoint; "
        "to train on the new images, start a new run: python -m classifier fit --config "
        "lightning_logs/version_0/config.yaml",
    )
    assert read_files() == before

    shutil.copy(LAST, "copy.ckpt")
    line = fail("fit", "--ckpt_path=copy.ckpt", *CONTINUE_FILES[2:])[1]
    assert line.endswith("start a new run: python -m classifier fit")
    run("fit", "--config=lightning_logs/version_0/config.yaml", "--allow_import=helpers")
    assert len(read_results("version_1")["epochs"]) == 1


def test_test_reports_and_writes_which_images_were_trained_on(run, fail, monkeypatch):
    run(*FIT_FILES)
    test = ("test", "--allow_import=helpers", "--output=scores.csv")
    assert "trained on" not in run(*test)
    monkeypatch.setattr(FileDigits, "indices", {"test": [*range(150, 181), *range(1200, 1210)]})
    lines = run(*test).splitlines()
    with Path("scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trained_on"] for row in rows] == ["true"] * 31 + ["false"] * 10
    accuracy = sum(row["true"] == row["predicted"] for row in rows[31:]) / 10
    text = f"31 of these 41 images were trained on; without them: accuracy {accuracy:.2%} (10 images)"
    assert lines[-1] == text
    for command in ("test", "validate"):
        status, line = fail(command, "--allow_import=helpers", "--output=nowhere/scores.csv")
        assert (status, "nowhere/scores.csv cannot be written: No such file" in line) == (1, True), line
        status, line = fail(command, "--allow_import=helpers", "--output=scores.txt")
        assert (status, "such as scores.csv" in line) == (2, True), line
