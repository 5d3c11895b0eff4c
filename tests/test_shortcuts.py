"""What is left out of a step of training: nothing that anybody asked for."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from classifier import MLP
from classifier.shortcuts import set_marks_on_demand

THREE_STEPS = ("fit", "--config=digits", "--trainer.max_epochs=1", "--trainer.limit_train_batches=3")


@pytest.fixture
def marks(monkeypatch):
    """Return the list of the marks that are set for PyTorch's profiler from now on."""
    marks, enter = [], torch.autograd.profiler.record_function.__enter__

    def note(mark: torch.autograd.profiler.record_function) -> torch.autograd.profiler.record_function:
        marks.append(mark.name)
        return enter(mark)

    monkeypatch.setattr(torch.autograd.profiler.record_function, "__enter__", note)
    return marks


def test_steps_are_marked_for_pytorchs_profiler_only_while_it_runs(run, marks):
    run(*THREE_STEPS)
    assert not marks
    with torch.profiler.profile() as profiler:
        run(*THREE_STEPS)
    counts = {event.key: event.count for event in profiler.key_averages()}
    assert counts["Optimizer.step#SGD.step"] == marks.count("Optimizer.step#SGD.step") == 3


@pytest.mark.parametrize(
    ("profiler", "action"), [("simple", "run_training_batch"), ("advanced", "optimizer_step"), ("pytorch", "SGD.step")]
)
def test_a_profiler_of_the_trainer_ends_with_its_report(start, profiler, action):
    start("fit", "--config=digits", "--trainer.max_epochs=1", f"--trainer.profiler={profiler}").join()
    assert "epoch 1/1" in Path("out").read_text()
    report = Path("err").read_text()
    assert "Profiler Report" in report
    assert action in report
    assert "Tip" not in report


def test_marks_are_set_again_after_a_run_that_failed(fail, marks):
    _, line = fail(*THREE_STEPS, "--model.lr=1e30")
    assert "not finite" in line
    assert not marks
    torch.optim.SGD(nn.Linear(1, 1).parameters()).step()
    assert marks == ["Optimizer.step#SGD.step"]


def test_what_marks_its_calls_still_does_its_work(marks):
    with set_marks_on_demand():

        @torch.autograd.profiler.record_function("double")
        def double(number: int) -> int:
            with torch.autograd.profiler.record_function("multiply") as mark:
                assert mark.name == "multiply"
                return 2 * number

        assert double(4) == 8
    assert not marks


@pytest.mark.parametrize("step", [MLP.training_step, MLP.validation_step, MLP.test_step])
def test_steps_say_of_themselves_the_arguments_they_take(step):
    code = step.__code__
    assert inspect.getfullargspec(step).args == list(code.co_varnames[: code.co_argcount])
    assert "__signature__" in vars(step)


def test_the_name_of_the_running_hook_takes_the_short_way_and_layers_are_still_registered(monkeypatch):
    module, extra, names, register = MLP(), nn.Linear(1, 1), [], nn.Module.__setattr__
    monkeypatch.setattr(nn.Module, "__setattr__", lambda *args: names.append(args[1]) or register(*args))
    module._current_fx_name, module.extra = "training_step", extra
    assert names == ["extra"]
    assert module._current_fx_name == "training_step"
    assert "extra" in dict(module.named_children())
