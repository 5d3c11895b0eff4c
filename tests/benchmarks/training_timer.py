"""Time the training steps and the test pass of a Lightning run."""

import tempfile
import time
from typing import Any, ClassVar

import lightning as L
import torch

from classifier.cli.main import main


def read_clock() -> float:
    """Return the time in seconds once the device has finished all work that was queued."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


class TrainingTimer(L.Callback):
    """Measures the seconds of all training steps after the first one, and those of a pass over the test images."""

    current: ClassVar["TrainingTimer"]  # that of the run in progress, see get_current_timer

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == 1:
            self.last_step = trainer.estimated_stepping_batches
            self.training_seconds = -read_clock()
        elif trainer.global_step == self.last_step:
            self.training_seconds += read_clock()

    def on_test_start(self, *_):
        self.test_seconds = -read_clock()

    def on_test_end(self, trainer, *_):
        self.test_seconds += read_clock()
        self.test_metrics = dict(trainer.callback_metrics)


def get_current_timer() -> L.Callback:
    """Return the timer of the run in progress; a function that `--trainer.callbacks` can name."""
    return TrainingTimer.current


def time_command(config: str, options: dict[str, Any]) -> TrainingTimer:
    """Run `fit --config CONFIG` and `test` in this process, and return their timer.

    Args:
        config: Name of a recipe.
        options: Options of both commands, without leading dashes.
    """
    timer = TrainingTimer.current = TrainingTimer()
    with tempfile.TemporaryDirectory() as folder:
        options = {
            **options,
            "trainer.default_root_dir": folder,
            "trainer.limit_val_batches": 0,
            "trainer.callbacks": f"{__name__}.get_current_timer",
            "allow_import": __name__,
        }
        argv = [f"--{name}={value}" for name, value in options.items()]
        main(["fit", f"--config={config}", *argv])
        main(["test", "--ckpt_path=last", *argv])
    return timer
