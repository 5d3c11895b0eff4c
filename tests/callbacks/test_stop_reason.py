"""Why a run stopped, in the last lines and in `results.json`."""

import json
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer

from classifier import ConsoleReporter, Digits, ResultsRecorder
from classifier.callbacks.stop_reason import describe_error

STAYED = "EarlyStopping: lr has not improved in the last"


class Stop(Callback):
    """Stops the run after its first epoch."""

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        trainer.should_stop = True


def read_reason(train, capsys, *callbacks, max_epochs=3, **options) -> tuple[str, list[str]]:
    """Train, and return the recorded reason and the printed lines about it."""
    options = {"limit_train_batches": 2, "limit_val_batches": 1, **options}
    trainer = train(max_epochs, callbacks=[*callbacks, ResultsRecorder(), ConsoleReporter()], **options)
    recorded = json.loads(Path(trainer.log_dir, "results.json").read_text())["stopped"]
    return recorded, [line for line in capsys.readouterr().out.splitlines() if line.startswith("stopped")]


@pytest.mark.parametrize(
    ("callback", "options", "reason"),
    [
        (EarlyStopping("lr", patience=1), {}, f"{STAYED} evaluation; the best is 0.1000"),
        (EarlyStopping("lr", patience=2), {"max_epochs": 9}, f"{STAYED} 2 evaluations; the best is 0.1000"),
        (EarlyStopping("lr", stopping_threshold=1), {}, "EarlyStopping: stopping threshold reached: lr = 0.1000 < 1"),
        (Timer({"milliseconds": 1}, verbose=False), {}, "max_time 0:00:00 reached"),
        (Callback(), {"max_steps": 5}, "max_steps 5 reached"),
        (Stop(), {}, "a callback stopped the run"),
    ],
    ids=["patience", "patience of several", "threshold", "time", "steps", "own callback"],
)
def test_reason_is_printed_and_recorded(train, capsys, callback, options, reason):
    recorded, printed = read_reason(train, capsys, callback, **options)
    assert (recorded, printed) == (reason, [f"stopped: {reason}"])


def test_end_after_all_epochs_is_recorded_and_not_printed(train, capsys):
    assert read_reason(train, capsys, EarlyStopping("lr", patience=2)) == ("max_epochs 3 reached", [])


def test_earlier_stop_is_not_the_reason_for_the_end_of_a_resumed_run(run):
    fit = ("fit", "--config=digits", "--pictures=false", "--trainer.limit_train_batches=1")
    options = ("--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor=lr", "--trainer.callbacks.patience=1")
    run(*fit, "--trainer.max_epochs=9", *options)
    assert "stopped" not in run("fit", "--ckpt_path=last", "--trainer.max_epochs=3")
    results = json.loads(Path("lightning_logs/version_0/results.json").read_text())
    assert results["stopped"] == "max_epochs 3 reached"


def test_error_that_ends_a_run_is_recorded(train):
    class Fail(Callback):
        def on_train_epoch_start(self, trainer, pl_module) -> None:
            if trainer.current_epoch == 1:
                raise RuntimeError("a\nbug")

    recorder = ResultsRecorder()
    with pytest.raises(RuntimeError):
        train(2, Digits(), callbacks=[recorder, Fail()], limit_train_batches=1)
    assert json.loads((recorder.folder / "results.json").read_text())["stopped"] == "RuntimeError: a bug"
    assert describe_error(KeyboardInterrupt()) == "interrupted"
