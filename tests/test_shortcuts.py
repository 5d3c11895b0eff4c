"""What is left out of a step of training: nothing that anybody asked for."""

import inspect

import pytest
import torch
from torch import nn

from classifier import MLP
from classifier.shortcuts import leave_out_marks

THREE_STEPS = ("fit", "--config=digits", "--trainer.max_epochs=1", "--trainer.limit_train_batches=3")


@pytest.fixture
def marks(monkeypatch):
    """Return the list of the marks that are set for PyTorch's profiler from now on."""
    marks = []

    class Mark(torch.autograd.profiler.record_function):
        def __init__(self, name: str, args: str | None = None) -> None:
            super().__init__(name, args)
            marks.append(name)

    monkeypatch.setattr(torch.autograd.profiler, "record_function", Mark)
    return marks


@pytest.mark.parametrize(("options", "steps_marked"), [((), 0), (("--trainer.profiler=simple",), 3)])
def test_steps_are_marked_for_pytorchs_profiler_only_where_a_profiler_is_asked_for(run, marks, options, steps_marked):
    run(*THREE_STEPS, *options)
    assert len([name for name in marks if name.startswith("Optimizer.step")]) == steps_marked


def test_marks_are_set_again_after_a_run_that_failed(fail, marks):
    _, line = fail(*THREE_STEPS, "--model.lr=1e30")
    assert "not finite" in line
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters())
    optimizer.step()
    assert [name for name in marks if name.startswith("Optimizer.step")] == ["Optimizer.step#SGD.step"]


def test_what_marks_its_calls_while_marks_are_left_out_still_does_its_work():
    with leave_out_marks():

        @torch.autograd.profiler.record_function("double")
        def double(number: int) -> int:
            with torch.autograd.profiler.record_function("multiply") as mark:
                assert mark.name == "multiply"
                return 2 * number

    assert double(4) == 8


@pytest.mark.parametrize("step", [MLP.training_step, MLP.validation_step, MLP.test_step])
def test_steps_say_of_themselves_the_arguments_they_take(step):
    code = step.__code__
    assert inspect.getfullargspec(step).args == list(code.co_varnames[: code.co_argcount])


def test_the_name_of_the_running_hook_is_a_plain_attribute_and_layers_are_still_found():
    module = MLP()
    module._current_fx_name, module.extra = "training_step", nn.Linear(1, 1)
    assert vars(module)["_current_fx_name"] == module._current_fx_name == "training_step"
    assert "extra" in dict(module.named_children())
