"""The handler of SIGTERM while a Trainer runs."""

import signal

import lightning as L
import pytest
from lightning.pytorch.callbacks import Callback

from classifier import MLP, Digits
from classifier.callbacks.sigterm import KeepSigtermHandler


class HandlerSpy(Callback):
    """Records the handler of SIGTERM, and the callbacks, at the first batch."""

    def __init__(self) -> None:
        self.handler, self.callbacks = None, []

    def on_train_batch_start(self, trainer: L.Trainer, *args: object) -> None:
        self.handler, self.callbacks = signal.getsignal(signal.SIGTERM), list(trainer.callbacks)

    def on_test_batch_start(self, trainer: L.Trainer, *args: object) -> None:
        self.on_train_batch_start(trainer)


@pytest.fixture
def handler():
    """Return a handler of SIGTERM that is installed during the test."""

    def handle(*args: object) -> None:
        raise AssertionError(args)

    previous = signal.signal(signal.SIGTERM, handle)
    yield handle
    signal.signal(signal.SIGTERM, previous)


@pytest.mark.parametrize("method", ["fit", "test"])
def test_handler_of_sigterm_stays_installed_and_the_callback_leaves_the_trainer(make_trainer, handler, method):
    spy, keep = HandlerSpy(), KeepSigtermHandler()
    trainer = make_trainer(callbacks=[keep, spy], limit_train_batches=1, num_sanity_val_steps=0)
    getattr(trainer, method)(MLP(image_shape=(1, 8, 8)), Digits())
    assert spy.handler is handler
    assert keep not in spy.callbacks


def test_without_the_callback_lightning_replaces_the_handler(make_trainer, handler):
    spy = HandlerSpy()
    make_trainer(callbacks=[spy], limit_train_batches=1).fit(MLP(image_shape=(1, 8, 8)), Digits())
    assert spy.handler is not handler
