"""Runs without a training step: each says so in one line, and leaves no folder."""

import re
from types import SimpleNamespace

import pytest
import torch
from helpers.runs import FIT_DIGITS, LOGS, load_last
from lightning.pytorch.callbacks import Callback, Timer

from classifier.cli.untrained import check_trained, remove_empty_run
from classifier.errors import SettingError

ONE_EPOCH = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=2")
TIMER = Timer("00:00:00:01")
TIMER.load_state_dict({"time_elapsed": {"train": 2.0}})
STATE = {
    "global_step": 5,
    "num_training_batches": 5,
    "max_steps": -1,
    "max_epochs": 3,
    "current_epoch": 1,
    "callbacks": [],
}
LAST = LOGS / "version_0" / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"num_training_batches": 0}, "the training set has no batch"),
        ({"max_steps": 5}, "the checkpoint has 5 steps already; set --trainer.max_steps above 5"),
        ({"current_epoch": 3}, "the checkpoint has 3 epochs already; set --trainer.max_epochs above 3"),
        ({"callbacks": [TIMER]}, "the time was up before the first step; set --trainer.max_time above 2.0 seconds"),
        ({}, "a callback stopped the run before its first step"),
    ],
)
def test_run_without_a_step_is_reported_with_the_limit_that_ended_it(state, reason):
    trainer = SimpleNamespace(**{**STATE, **state})
    with pytest.raises(SettingError, match=f"^nothing was trained: {re.escape(reason)}$"):
        check_trained(trainer, previous_steps=5, previous_epochs=trainer.current_epoch)
    check_trained(trainer, previous_steps=4, previous_epochs=trainer.current_epoch)
    check_trained(trainer, previous_steps=5, previous_epochs=trainer.current_epoch - 1)


class StopFirst(Callback):
    """Stops a run before its first step."""

    def on_fit_start(self, trainer, pl_module):
        trainer.should_stop = True


def test_callback_that_stops_the_run_before_its_first_step_is_reported(fail):
    name = f"{StopFirst.__module__}.StopFirst"
    line = fail(*ONE_EPOCH, f"--trainer.callbacks={name}", f"--allow_import={name.partition('.')[0]}")[1]
    assert "nothing was trained: a callback stopped the run before its first step" in line


def test_resumed_run_that_has_reached_one_of_its_limits_is_refused_and_unchanged(run, fail):
    run(*ONE_EPOCH)
    torch.save({**load_last(), "callbacks": {"Timer": {"time_elapsed": {"train": 3.2}}}}, LAST)
    before = {path: path.read_bytes() for path in LOGS.rglob("*") if path.is_file()}
    for name, limit, unit in (("max_epochs", "1", "1 of 1 epochs"), ("max_steps", "2", "2 of 2 steps")):
        line = fail("fit", "--ckpt_path=last", "--trainer.max_epochs=9", f"--trainer.{name}={limit}")[1]
        assert f"has done {unit}: to continue, set --trainer.{name} above {limit}" in line
    line = fail("fit", "--ckpt_path=last", "--trainer.max_epochs=9", "--trainer.max_time=00:00:00:03")[1]
    assert "has done 3 of 3 seconds: to continue, set --trainer.max_time to more than 3 seconds, as DD:HH:MM:SS" in line
    assert {path: path.read_bytes() for path in LOGS.rglob("*") if path.is_file()} == before


def test_checkpoint_outside_a_run_that_is_trained_no_further_is_reported(run, fail):
    run(*ONE_EPOCH)
    LAST.rename("copy.ckpt")
    status, line = fail(*ONE_EPOCH, "--ckpt_path=copy.ckpt")
    assert (status, "nothing was trained: the checkpoint has 1 epochs already" in line) == (2, True), line
    assert [path.name for path in LOGS.iterdir()] == ["version_0"]


@pytest.mark.parametrize(
    ("file", "error", "removed"),
    [
        ("hparams.yaml", ValueError(), True),
        ("hparams.yaml", KeyboardInterrupt(), False),
        ("results.json", ValueError(), False),
        ("checkpoints/last.ckpt", ValueError(), False),
    ],
)
def test_folder_is_removed_only_after_an_error_and_without_results(file, error, removed):
    path = LOGS / "version_0" / file
    path.parent.mkdir(parents=True)
    path.touch()
    assert remove_empty_run(str(LOGS / "version_0"), error) == removed
    assert path.exists() == (not removed)
