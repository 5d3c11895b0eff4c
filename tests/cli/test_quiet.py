"""Lightning's messages: those that a setting asks for are printed, and no others."""

import pytest
from helpers.runs import FIT_DIGITS

SHORT = (*FIT_DIGITS, "--trainer.max_epochs=3", "--trainer.limit_train_batches=1", "--model.hidden_sizes=[8]")
EARLY = ("--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=loss/train")


SAVE = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor=loss/train")


def test_messages_that_were_asked_for_are_printed(run):
    checkpoints = (*SAVE, "--trainer.callbacks.verbose=true")
    printed = run(*SHORT, *EARLY, "--trainer.callbacks.verbose=true", *checkpoints, "--trainer.profiler=simple")
    for text in ("Metric loss/train improved", "'loss/train' reached", "Profiler Report"):
        assert text in printed
    assert "Total params" in run(*SHORT, "--trainer.enable_model_summary=true")
    assert "network.1" in run(*SHORT, "--trainer.callbacks=ModelSummary", "--trainer.callbacks.max_depth=2")


@pytest.mark.parametrize("options", [(), (*EARLY, *SAVE, "--trainer.max_steps=2")], ids=["default", "not verbose"])
def test_nothing_else_of_lightning_is_printed(run, options):
    beginnings = ("MLP", "epoch", "test", "  ", "stopped: max_steps", "run: ", "curves: ", "next: ")
    printed = run(*SHORT, *options).splitlines()
    assert [line for line in printed if line and not line.startswith(beginnings)] == []


def test_reason_of_early_stopping_is_printed_once(run):
    options = ("--trainer.callbacks.verbose=true", "--trainer.callbacks.stopping_threshold=100")
    assert run(*SHORT, *EARLY, *options).lower().count("threshold reached") == 1
