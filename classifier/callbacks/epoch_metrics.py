"""Metrics of every epoch: computed and logged before any other callback reads them."""

import math
import time
from dataclasses import asdict
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from classifier.callbacks.best_evaluation import Evaluation, choose_better, read_best, starts_again
from classifier.callbacks.loop_state import set_position
from classifier.callbacks.monitors import check_monitors
from classifier.callbacks.own_metrics import keep_finite
from classifier.callbacks.publishing import check_finite, log_to_loggers, publish
from classifier.callbacks.running_loss import TAG, RunningLoss
from classifier.data.dataset import ImageDataset
from classifier.data.sampling import PADDING

SPLITS = ("train", "val", "test")


class EpochMetrics(Callback):
    """Computes and logs the metrics of every epoch.

    They are `loss/<split>` and `accuracy/<split>` (from 0 to 1) of every split, `lr`, and `speed/images_per_second` of
    training. The x axis is the number of completed epochs. If images are also evaluated within epochs, each of these
    evaluations is logged under `loss/<split>_by_step` and `accuracy/<split>_by_step`, with the number of optimizer
    steps as the x axis, and the metrics of the epoch are those of its last evaluation. Within an epoch,
    `loss/train_running` is logged every `log_every_n_steps` steps.

    Lightning calls `on_train_epoch_end` of ordinary callbacks first, then that of the module, then that of checkpoint
    callbacks. An ImageClassifier inserts this callback first in every Trainer, so that the metrics of the epoch are
    available to all other callbacks.
    """

    state_key = "EpochMetrics"

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.epochs: list[dict[str, float]] = []  # the metrics of every epoch since `fit` was called
        self.own: dict[str, float] = {}  # what the network logs itself; not finite if it logged such a value
        self.evaluations: list[dict[str, float]] = []  # those of the current epoch
        self.images_scored: dict[str, int] = {}  # by split, over all processes
        self.class_accuracies: dict[str, list[float]] = {}  # by split; NaN for a class without images
        self.stopped = False  # whether the last evaluation took place only because the run stopped
        self.before_evaluation: dict[str, Any] = {}
        self.training_seconds = self.epoch_started = self.seconds = 0.0
        self.restored: dict[str, Any] = {}
        self.running_loss = RunningLoss()
        self.best: Evaluation | None = None  # of this run, or None without validation images

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics of the current epoch for the checkpoint, as they would be if the run had not stopped."""
        metrics = dict(self.before_evaluation if self.stopped else self._get_metrics())
        metrics |= {"own": keep_finite(self.own), "evaluations": self.evaluations, "seconds": self._measure_seconds()}
        best = {"best": asdict(self.best)} if self.best else {}
        return {**metrics, **best, "running_loss": self.running_loss.state_dict()}

    def _get_metrics(self) -> dict[str, Any]:
        """Return copies of the metrics of the current epoch."""
        return {name: dict(getattr(self, name)) for name in ("values", "images_scored", "class_accuracies")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the metrics of an epoch that is continued."""
        self.restored = state_dict

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Discard what an earlier `fit` has left, before a checkpoint is loaded."""
        self.running_loss, self.best = RunningLoss(), None

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Make training continue exactly where the checkpoint was written."""
        if trainer.state.fn == "fit":
            pl_module.unfinished_epoch = checkpoint.get("unfinished_epoch")
            set_position(checkpoint, trainer.max_steps != -1, trainer.accumulate_grad_batches)
            self.running_loss.restore(checkpoint)
            self.best = read_best(checkpoint)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check the metrics that callbacks and schedules monitor, and discard the epochs of an earlier `fit`."""
        check_monitors(trainer)
        self.epochs = []
        self.best = None if starts_again(trainer) else self.best
        self.running_loss.start(trainer)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reset the epoch's metrics, or restore those of an epoch that is continued, and start the clock."""
        continued = self.restored if pl_module.unfinished_epoch else {}
        self.restored, self.stopped = {}, False
        self.values, self.own = dict(continued.get("values", {})), dict(continued.get("own", {}))
        pl_module.own_metrics.start()
        self.evaluations = list(continued.get("evaluations", []))
        self.images_scored = dict(continued.get("images_scored", {}))
        self.class_accuracies = dict(continued.get("class_accuracies", {}))
        pl_module.get_metrics("train").reset()
        now = time.perf_counter()
        self.epoch_started, self.training_seconds = now - continued.get("seconds", 0.0), -now

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Log the running loss if it is due, and end the epoch at `max_steps`, so that images are evaluated there."""
        step = trainer.global_step
        if step >= self.running_loss.next_step:
            position, loss = self.running_loss.add_point(trainer, pl_module)
            log_to_loggers(trainer, {TAG: loss}, position)
        if step == trainer.max_steps:
            trainer.should_stop = True

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock, and reset the metrics of the splits to evaluate."""
        self._stop_clock(pl_module)
        self.before_evaluation = self._get_metrics()
        self._start_evaluation(pl_module, trainer.val_dataloaders, "val")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Collect what the network has logged itself, and restart the clock."""
        self._collect_own(trainer, pl_module)
        self.training_seconds -= time.perf_counter()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Collect what the network has logged itself."""
        self._collect_own(trainer, pl_module)

    def _collect_own(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Add the metrics that the network has logged itself since the start of the epoch."""
        self.own |= module.own_metrics.collect(trainer.callback_metrics, module.evaluated_splits)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Reset the metrics of the test images."""
        self._start_evaluation(pl_module, trainer.test_dataloaders, "test")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the metrics of the epoch, with the learning rate and the training speed in images per second."""
        if not trainer.is_last_batch:
            pl_module.keep_unfinished_epoch()
        else:
            self.running_loss.collect(trainer, pl_module)
        self._stop_clock(pl_module)
        seconds = torch.tensor(self.training_seconds, device=pl_module.device)
        seconds = trainer.strategy.reduce(seconds, reduce_op="max")  # of the slowest process
        metrics = self._finish_split(trainer, pl_module, "train")
        metrics["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        metrics["speed/images_per_second"] = self.images_scored["train"] / float(seconds)
        publish(pl_module, metrics)
        self.values |= metrics
        self._collect_own(trainer, pl_module)
        pl_module.own_metrics.is_recorded = True
        self.seconds = self._measure_seconds()
        self.epochs.append({"epoch": trainer.current_epoch + 1, **self.values})
        log_to_loggers(trainer, self.values, trainer.current_epoch + 1)
        for logger in trainer.loggers:
            logger.save()  # before the checkpoint, so that a resumed run finds the points of every epoch it has

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compute the metrics of the validation and test images."""
        metrics: dict[str, float] = {}
        for split in pl_module.evaluated_splits:
            metrics |= self._finish_split(trainer, pl_module, split)
        publish(pl_module, metrics)
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._add_evaluation(trainer, metrics)
            scores = {split: self.class_accuracies[split] for split in pl_module.evaluated_splits}
            evaluation = Evaluation(trainer.current_epoch + 1, trainer.global_step, metrics, scores)
            self.best = choose_better(self.best, evaluation)
        self.values |= metrics

    def _add_evaluation(self, trainer: L.Trainer, metrics: dict[str, float]) -> None:
        """Record an evaluation during training, and log it if it is not the only one of its epoch."""
        loop, counts_all = trainer.fit_loop, trainer.check_val_every_n_epoch is None
        batches_done = (loop.total_batch_idx if counts_all else loop.batch_idx) + 1
        is_scheduled = batches_done % (trainer.val_check_batch or math.inf) == 0
        if trainer.should_stop and not (trainer.is_last_batch or is_scheduled):
            # The evaluation takes place only because the run stops here.
            self.stopped = True
            return
        self.evaluations.append({"step": trainer.global_step, **metrics})
        if len(self.evaluations) > 1 or not trainer.is_last_batch:
            by_step = {f"{tag}_by_step": value for tag, value in metrics.items()}
            log_to_loggers(trainer, by_step, trainer.global_step)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the metrics of the test images."""
        metrics = self._finish_split(trainer, pl_module, "test")
        publish(pl_module, metrics)
        self.values |= metrics

    def _measure_seconds(self) -> float:
        """Return the seconds since the start of the epoch, without the time between a stop and a resumption."""
        return time.perf_counter() - self.epoch_started

    def _stop_clock(self, module: L.LightningModule) -> None:
        """Wait until the device has finished all training steps, and stop the clock."""
        module.get_metrics("train").synchronize()
        self.training_seconds += time.perf_counter()

    def _start_evaluation(self, module: L.LightningModule, loaders: Any, default_split: str) -> None:
        """Reset the metrics of the loaders' splits and, unless it is part of training, what the network logs itself."""
        if module.trainer.state.fn != "fit":
            self.own = {}
            module.own_metrics.start()
        start_evaluation(module, loaders, default_split)

    def _finish_split(self, trainer: L.Trainer, module: L.LightningModule, split: str) -> dict[str, float]:
        """Compute and check the loss and the accuracy of a split.

        Raises:
            DivergenceError: The loss is not finite. The previous checkpoint is then not overwritten.
        """
        metrics = module.get_metrics(split).compute()
        values = {f"loss/{split}": float(metrics["loss"]), f"accuracy/{split}": float(metrics["accuracy"])}
        epochs_done = trainer.current_epoch + (trainer.state.fn == "fit")
        check_finite(values[f"loss/{split}"], split, epochs_done, module.hparams.lr)
        self.images_scored[split] = int(metrics["num_images"])
        self.class_accuracies[split] = metrics["accuracy_per_class"].tolist()
        return values


def start_evaluation(module: L.LightningModule, loaders: Any, default_split: str) -> None:
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


def insert_epoch_metrics(trainer: L.Trainer) -> None:
    """Make EpochMetrics the first callback of a Trainer; one that the Trainer already has is moved."""
    callbacks: list[Callback] = trainer.callbacks
    own = next((callback for callback in callbacks if isinstance(callback, EpochMetrics)), None) or EpochMetrics()
    trainer.callbacks = [own, *(callback for callback in callbacks if callback is not own)]


def get_epoch_metrics(trainer: L.Trainer) -> EpochMetrics:
    """Return the EpochMetrics of a Trainer, with the metrics of the current epoch only."""
    return next((callback for callback in trainer.callbacks if isinstance(callback, EpochMetrics)), EpochMetrics())
