"""The estimated time until a run ends."""

import math
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import GradientAccumulationScheduler, Timer

from classifier import ConsoleReporter
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
    assert TimeLeft().estimate(make_trainer(math.inf)) is None


def test_time_of_a_run_whose_number_of_steps_is_not_known_is_not_estimated(train, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    console, options = ConsoleReporter(), {"limit_train_batches": 4, "limit_val_batches": 0}
    trainer = train(2, callbacks=[console, GradientAccumulationScheduler({0: 1, 1: 2})], **options)
    assert console.time_left.estimate(trainer) is None
