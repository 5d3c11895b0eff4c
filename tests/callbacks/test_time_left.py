"""The estimated time until a run ends."""

import math
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import Timer

from classifier.callbacks import time_left
from classifier.callbacks.time_left import TimeLeft


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands still until it is set."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(time_left.time, "monotonic", lambda: clock.now)
    return clock


def make_trainer(num_steps: float, *callbacks: Timer) -> SimpleNamespace:
    """Return what is needed of a Trainer that resumes a run after 20 steps."""
    return SimpleNamespace(global_step=20, estimated_stepping_batches=num_steps, callbacks=callbacks)


def test_time_of_the_steps_since_the_start_or_resumption_is_extrapolated(clock):
    estimate, trainer = TimeLeft(), make_trainer(100)
    estimate.start(trainer)
    assert estimate.estimate(trainer) is None
    clock.now, trainer.global_step = 130.0, 40  # 1.5 s per step
    assert estimate.estimate(trainer) == pytest.approx(90)


def test_limit_on_the_time_is_the_latest_end(clock):
    estimate, trainer = TimeLeft(), make_trainer(math.inf, Timer({"seconds": 60}), Timer())
    estimate.start(trainer)
    assert estimate.estimate(trainer) == pytest.approx(60)
    trainer = make_trainer(100, Timer({"seconds": 60}))
    estimate.start(trainer)
    clock.now, trainer.global_step = 140.0, 60
    assert estimate.estimate(trainer) == pytest.approx(40)


@pytest.mark.parametrize("num_steps", [math.inf, -1], ids=["no limit", "loader without a length"])
def test_end_of_a_run_without_a_limit_is_not_known(clock, num_steps):
    estimate, trainer = TimeLeft(), make_trainer(num_steps)
    estimate.start(trainer)
    clock.now, trainer.global_step = 140.0, 60
    assert estimate.estimate(trainer) is None
