"""Clean stops: a termination signal ends a run as Ctrl-C does."""

import signal
from typing import Any, NoReturn

import lightning as L
from lightning.pytorch.callbacks import Callback


class Terminated(KeyboardInterrupt):
    """SIGTERM, with which clusters and containers end a program; Lightning winds down as after Ctrl-C."""


def raise_terminated(*_: Any) -> NoReturn:
    """Raise Terminated, in answer to a signal."""
    raise Terminated


def get_exit_status(stop: KeyboardInterrupt) -> int:
    """Return the exit status that shells expect: 143 after SIGTERM, 130 after Ctrl-C."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


class StopOnSigterm(Callback):
    """Lets SIGTERM stop a run at once.

    Lightning puts its own handler in place when a run begins. That one goes on to the end of a batch, ends with
    exit status 0, and waits with several processes for a message that may cross those of the training.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Handle SIGTERM from here on."""
        signal.signal(signal.SIGTERM, raise_terminated)

    on_validation_start = on_test_start = on_predict_start = on_train_start
