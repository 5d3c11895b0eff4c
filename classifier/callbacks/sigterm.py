"""Restore the handler of SIGTERM that Lightning replaces."""

import signal

import lightning as L
from lightning.pytorch.callbacks import Callback


class KeepSigtermHandler(Callback):
    """Restores the handler of SIGTERM that was installed when this callback was created.

    Lightning installs its own handler when a run begins. It waits, in several processes, for a message that may cross
    those of the training, continues to the end of the batch, and exits with status 0.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restore the handler, and leave the Trainer, which would call this callback 6 times per step for nothing."""
        signal.signal(signal.SIGTERM, self.handler)
        trainer.callbacks = [callback for callback in trainer.callbacks if callback is not self]

    on_validation_start = on_test_start = on_train_start
