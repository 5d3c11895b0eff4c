"""Metrics of every epoch: computed and logged before any other callback reads them."""

import math
import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from classifier.data.dataset import ImageDataset
from classifier.data.sampling import PADDING
from classifier.errors import UserError

SPLITS = ("train", "val", "test")


class EpochMetrics(Callback):
    """Computes and logs the metrics of every epoch.

    They are `loss/<split>` and `accuracy/<split>` (from 0 to 1) of every split, `lr`, and `speed/images_per_second` of
    training. The x axis is the number of completed epochs.

    Lightning calls `on_train_epoch_end` of ordinary callbacks first, then that of the module, then that of checkpoint
    callbacks. An ImageClassifier inserts this callback first in every Trainer, so that the metrics of the epoch are
    available to all other callbacks.
    """

    state_key = "EpochMetrics"

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.training_seconds = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reset the epoch's metrics, and start the clock."""
        self.values = {}
        pl_module.get_metrics("train").reset()
        self.training_seconds = -time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """End the epoch when the run reaches `max_steps`, so that the test images are evaluated there as well."""
        if trainer.global_step == trainer.max_steps:
            trainer.should_stop = True

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock, and reset the metrics of the splits to evaluate."""
        self._stop_clock(pl_module)
        self._start_evaluation(pl_module, trainer.val_dataloaders, "val")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restart the clock."""
        self.training_seconds -= time.perf_counter()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reset the metrics of the test images."""
        self._start_evaluation(pl_module, trainer.test_dataloaders, "test")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the training metrics, the learning rate and the training speed in images per second."""
        self._stop_clock(pl_module)
        seconds = torch.tensor(self.training_seconds, device=pl_module.device)
        seconds = trainer.strategy.reduce(seconds, reduce_op="max")  # of the slowest process
        num_images = pl_module.get_metrics("train").compute()["num_images"]
        learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._finish_split(
            trainer, pl_module, "train", {"lr": learning_rate, "speed/images_per_second": num_images / seconds}
        )

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the metrics of the validation and test images."""
        for split in pl_module.evaluated_splits:
            self._finish_split(trainer, pl_module, split)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the metrics of the test images."""
        self._finish_split(trainer, pl_module, "test")

    def _stop_clock(self, module: L.LightningModule) -> None:
        """Wait until the device has finished all training steps, and stop the clock."""
        module.get_metrics("train").synchronize()
        self.training_seconds += time.perf_counter()

    def _start_evaluation(self, module: L.LightningModule, loaders: Any, default_split: str) -> None:
        """Reset the metrics of the loaders' splits, and pass them the dataset indices of their images.

        A loader that does not come from an ImageDataModule is treated as one of `default_split`.
        """
        loaders = loaders if isinstance(loaders, list) else [loaders]
        datasets = [getattr(loader, "dataset", None) for loader in loaders]
        splits = [dataset.split if isinstance(dataset, ImageDataset) else None for dataset in datasets]
        module.evaluated_splits = [split or default_split for split in splits]
        for loader, split in zip(loaders, splits, strict=True):
            indices = [index for index in loader.sampler if index != PADDING] if split else None
            module.get_metrics(split or default_split).reset(indices)

    def _finish_split(
        self, trainer: L.Trainer, module: L.LightningModule, split: str, more: dict[str, Tensor | float] | None = None
    ) -> None:
        """Compute, check and log the loss and the accuracy of a split, and log the values in `more`.

        Raises:
            UserError: The loss is not finite. The previous checkpoint is then not overwritten.
        """
        metrics = module.get_metrics(split).compute()
        values = {f"loss/{split}": metrics["loss"], f"accuracy/{split}": metrics["accuracy"], **(more or {})}
        self.values |= {tag: float(value) for tag, value in values.items()}
        epochs_done = trainer.current_epoch + (trainer.state.fn == "fit")
        check_finite(self.values[f"loss/{split}"], split, epochs_done, module.hparams.lr)
        # Lightning uses a logged "step" as the x axis. All processes have the same values: max keeps them exact.
        module.log_dict({**values, "step": float(epochs_done)}, sync_dist=True, reduce_fx="max")


def check_finite(loss: float, split: str, epochs_done: int, lr: float) -> None:
    """Check that a loss is finite.

    Raises:
        UserError: It is infinite or NaN.
    """
    if not math.isfinite(loss):
        raise UserError(
            f"the {split} loss is not finite after {epochs_done} epochs: train with a learning rate below {lr} "
            "(--model.lr), or clip the gradients (--trainer.gradient_clip_val 1)"
        )


def insert_epoch_metrics(trainer: L.Trainer) -> None:
    """Make EpochMetrics the first callback of a Trainer; one that the Trainer already has is moved."""
    callbacks: list[Callback] = trainer.callbacks
    own = next((callback for callback in callbacks if isinstance(callback, EpochMetrics)), None) or EpochMetrics()
    trainer.callbacks = [own, *(callback for callback in callbacks if callback is not own)]


def get_epoch_values(trainer: L.Trainer) -> dict[str, float]:
    """Return the values logged in the current epoch, by name; `trainer.callback_metrics` also has older ones."""
    return next((callback.values for callback in trainer.callbacks if isinstance(callback, EpochMetrics)), {})
