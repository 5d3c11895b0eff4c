"""Restore the handler of SIGTERM that Lightning replaces."""

import signal

import lightning as L
from lightning.pytorch.callbacks import Callback


class KeepSigtermHandler(Callback):
    """Restores the handler of SIGTERM that was installed when this callback was created.

    Lightning installs its own handler when a run begins. With several processes, that handler calls a broadcast, which
    can conflict with the collective operations of the training step. It also finishes the batch, and the program
    exits with status 0.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the handler, and remove this callback, so that it is not called 6 times per step without effect."""
        signal.signal(signal.SIGTERM, self.handler)
        trainer.callbacks = [callback for callback in trainer.callbacks if callback is not self]

    on_validation_start = on_test_start = on_train_start
