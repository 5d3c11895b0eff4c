"""Metrics that callbacks and schedules monitor are checked before the first step."""

import helpers.data_files
import pytest
import torch
from helpers.file_data import TrainValDigits, make_data
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint

from classifier import MLP, Digits
from classifier.callbacks.monitors import may_log
from classifier.errors import SettingError

STEP = {"limit_train_batches": 1, "limit_val_batches": 1, "enable_checkpointing": True}
CODE = 'self.log("acc", 0)'
NAMES = "loss/train, accuracy/train, loss/test, accuracy/test, lr, speed/images_per_second"


class Plateau(MLP):
    """An MLP whose learning rate falls when a metric does not improve."""

    monitor = "val_loss"

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min")
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": self.monitor}}


class Watcher(Callback):
    """A callback of the user's own that monitors a metric."""

    monitor = "acc"


class StepCounter(Callback):
    """Counts training steps."""

    steps = 0

    def on_train_batch_end(self, *_) -> None:
        self.steps += 1


def fail_to_train(train, *callbacks, **options) -> str:
    """Return the error with which a training ends before its first step."""
    counter = StepCounter()
    with pytest.raises(SettingError) as error:
        train(1, callbacks=[*callbacks, counter], **{**STEP, **options})
    assert counter.steps == 0
    return str(error.value)


@pytest.fixture
def without_own_logging(monkeypatch):
    """Make the classes of the tests appear not to log anything."""
    monkeypatch.setattr("classifier.callbacks.monitors.may_log", lambda *_: False)


@pytest.mark.parametrize("callback", [EarlyStopping("val_loss"), ModelCheckpoint(monitor="val_loss"), Watcher()])
@pytest.mark.usefixtures("without_own_logging")
def test_metric_that_does_not_exist_is_refused_with_the_names_that_do(train, callback):
    name = type(callback).__name__
    message = fail_to_train(train, callback)
    assert message == f"{name} monitors {callback.monitor}, which this run does not have; its metrics are {NAMES}"


@pytest.mark.usefixtures("without_own_logging")
def test_metric_of_a_schedule_is_checked_as_well(train):
    message = fail_to_train(train, model=Plateau(image_shape=(1, 8, 8)))
    assert message.startswith("ReduceLROnPlateau monitors val_loss, which this run does not have")


def test_validation_metric_without_validation_images_is_refused_with_advice(train):
    message = fail_to_train(train, EarlyStopping("accuracy/val", mode="max"))
    assert message.endswith(f"{NAMES}; --data.val_split 0.1 holds out validation images")


def test_metric_of_a_split_that_is_not_evaluated_is_refused(train):
    message = fail_to_train(train, EarlyStopping("loss/test"), limit_val_batches=0)
    assert "its metrics are loss/train, accuracy/train, lr, speed/images_per_second" in message
    assert "val_split" not in message


def test_metrics_that_exist_or_may_be_logged_are_accepted(train):
    callbacks = [
        EarlyStopping("lr-SGD"),
        LearningRateMonitor(),
        ModelCheckpoint(monitor="step", mode="max"),
        EarlyStopping("loss/val"),
    ]
    train(1, make_data(TrainValDigits), callbacks=callbacks, **STEP)
    train(1, Digits(val_split=100), callbacks=[EarlyStopping("loss/val")], check_val_every_n_epoch=2, **STEP)
    train(1, callbacks=[EarlyStopping("nothing", strict=False)], **STEP)
    train(1, callbacks=[Watcher()], **STEP)  # this file contains CODE, so a class of it may log the metric


@pytest.mark.parametrize(
    ("monitor", "mode", "words"),
    [("accuracy/train", "min", "worse when it rises"), ("loss/train", "max", "worse when it falls")],
)
def test_mode_that_takes_the_worst_value_for_the_best_is_warned_of_once(train, monitor, mode, words):
    with pytest.warns(UserWarning, match=words) as warnings:
        train(2, callbacks=[EarlyStopping(monitor, mode=mode)], **STEP)
    assert len([warning for warning in warnings if "mode" in str(warning.message)]) == 1


def test_class_whose_code_does_not_log_is_told_from_one_that_may():
    assert not may_log(helpers.data_files.__name__, "acc")
    assert may_log(__name__, "acc")
    assert may_log("a.module.without.code", "acc")


@pytest.mark.parametrize(
    ("code", "may"),
    [
        ('self.log("acc", 1)', True),
        ("self.log('f1/val', 1)", False),
        ('self.log(f"{name}/val", 1)', True),
        ("self.log(name, 1)", True),
        ("self.log_dict({'acc': 1})", True),
        ("trainer.callback_metrics['acc'] = 1", True),
        ("math.log10(2)", False),
    ],
)
def test_metric_may_be_logged_under_its_own_name_or_one_that_the_code_computes(code, may, monkeypatch):
    monkeypatch.setattr("inspect.getsource", lambda _: code)
    assert may_log(__name__, "acc") == may


def test_stopping_on_test_images_is_warned_of(train):
    with pytest.warns(UserWarning, match="EarlyStopping monitors loss/test, so the test images decide .* loss/val"):
        train(1, callbacks=[EarlyStopping("loss/test")], **STEP)
