"""Labels for PyTorch's profiler, and the profilers of the Trainer."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from classifier import MLP
from classifier.cli.profiling import record_only_while_profiling

LIMITS = ("--trainer.max_epochs=1", "--trainer.limit_train_batches=3")
THREE_STEPS = ("fit", "--config=digits", "--pictures=false", *LIMITS)


@pytest.fixture
def labels(monkeypatch):
    """Return the list of the labels that are recorded for PyTorch's profiler from now on."""
    labels, enter = [], torch.autograd.profiler.record_function.__enter__

    def record(label: torch.autograd.profiler.record_function) -> torch.autograd.profiler.record_function:
        labels.append(label.name)
        return enter(label)

    monkeypatch.setattr(torch.autograd.profiler.record_function, "__enter__", record)
    return labels


def test_steps_are_labelled_for_the_profiler_of_pytorch_only_while_it_runs(run, labels):
    run(*THREE_STEPS)
    assert not labels
    with torch.profiler.profile() as profiler:
        run(*THREE_STEPS)
    counts = {event.key: event.count for event in profiler.key_averages()}
    assert counts["Optimizer.step#SGD.step"] == labels.count("Optimizer.step#SGD.step") == 3


@pytest.mark.parametrize(
    ("profiler", "action"), [("simple", "run_training_batch"), ("advanced", "optimizer_step"), ("pytorch", "SGD.step")]
)
def test_profiler_of_the_trainer_ends_with_its_report(start, profiler, action):
    start(*THREE_STEPS, f"--trainer.profiler={profiler}").join()
    assert "epoch 1/1" in Path("out").read_text()
    report = Path("out").read_text()
    assert "Profiler Report" in report
    assert action in report
    assert "Tip" not in report


def test_labels_are_recorded_again_after_a_run_that_failed(fail, labels):
    _, line = fail(*THREE_STEPS, "--model.lr=1e30")
    assert "not finite" in line
    assert not labels
    torch.optim.SGD(nn.Linear(1, 1).parameters()).step()
    assert labels == ["Optimizer.step#SGD.step"]


def test_labelled_function_and_labelled_block_still_run_without_a_profiler(labels):
    with record_only_while_profiling():

        @torch.autograd.profiler.record_function("double")
        def double(number: int) -> int:
            with torch.autograd.profiler.record_function("multiply") as label:
                assert label.name == "multiply"
                return 2 * number

        assert double(4) == 8
    assert not labels


@pytest.mark.parametrize("step", [MLP.training_step, MLP.validation_step, MLP.test_step])
def test_signature_that_is_stored_with_a_step_is_that_of_its_code(step):
    code = step.__code__
    assert inspect.getfullargspec(step).args == list(code.co_varnames[: code.co_argcount])
    assert "__signature__" in vars(step)
