"""Records every epoch of a run in `results.json`."""

import contextlib
import json
import math
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from classifier.callbacks.epoch_metrics import SPLITS, get_epoch_metrics
from classifier.callbacks.reporting import (
    count_parameters,
    find_kept_checkpoint,
    get_class_accuracies,
    get_class_labels,
    get_evaluated_dataset,
    get_file_name,
    get_reported_split,
)
from classifier.callbacks.stop_reason import describe_error, describe_stop
from classifier.errors import UserError
from classifier.files import atomic_write
from classifier.seeding import get_seed

NUM_TOP_LOSSES = 20
PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "tensorboard")


class ResultsRecorder(Callback):
    """Writes `results.json` to the run's folder after every epoch; checkpoints contain the epochs recorded so far.

    Without a logger, a run has no folder, and nothing is written.
    """

    state_key = "ResultsRecorder"

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.results: dict[str, Any] = {}
        self.epochs: list[dict[str, Any]] = []
        self.top_losses: list[dict[str, Any]] = []
        self.problem: str | None = None  # why the last attempt to write the file failed

    def state_dict(self) -> dict[str, Any]:
        """Return the recorded epochs and errors for the checkpoint."""
        return {"epochs": self.epochs, "top_losses": self.top_losses}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what a checkpoint recorded."""
        self.epochs = list(state_dict["epochs"])
        self.top_losses = list(state_dict.get("top_losses", []))

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Store the run's folder. Every process has to call this, because `log_dir` is a collective operation."""
        self.folder = Path(trainer.log_dir) if trainer.loggers and trainer.log_dir else None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the settings of the run, and discard epochs after the one that training resumes from."""
        epochs, self.epochs = self.epochs, []
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # the file is missing or damaged
            if not epochs and trainer.current_epoch and self.folder is not None:
                # A checkpoint of version 0.1 does not carry the epochs.
                epochs = json.loads((self.folder / "results.json").read_text())["epochs"]
            self.epochs = [epoch for epoch in epochs if epoch["epoch"] <= trainer.current_epoch]
        self.results = describe_run(trainer, pl_module)
        if self.epochs:  # the file may have an epoch that was not saved
            self.write(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the test images, or validation images if there are no others, with the highest loss."""
        split = get_reported_split(trainer)
        if trainer.state.fn == "fit" and not trainer.sanity_checking and split in pl_module.evaluated_splits:
            self.top_losses = describe_top_losses(trainer, split)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch to `results.json`. Checkpoints are written afterwards, so they contain it."""
        metrics = get_epoch_metrics(trainer)
        record: dict[str, Any] = {"epoch": trainer.current_epoch + 1, **metrics.values, **metrics.own}
        record["seconds"] = round(metrics.seconds, 3)
        record["images_scored"] = {
            split: metrics.images_scored[split] for split in SPLITS if split in metrics.images_scored
        }
        split = get_reported_split(trainer)
        if accuracies := get_class_accuracies(trainer, split):
            record[f"accuracy_by_class/{split}"] = accuracies
        if not trainer.is_last_batch:  # the run stops within the epoch
            record |= {"batches": trainer.fit_loop.batch_idx + 1, "batches_per_epoch": trainer.num_training_batches}
        if len(metrics.evaluations) > 1:
            record["evaluations"] = metrics.evaluations
        self.epochs.append(to_json(record, digits=17))  # unrounded
        self.write(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Add the error that has ended training to `results.json`, if an epoch is recorded."""
        if trainer.state.fn == "fit" and self.results and self.epochs:
            self.results["stopped"] = describe_error(exception)
            self.write(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the reason for the end of training to `results.json`.

        Raises:
            UserError: The file cannot be written.
        """
        self.results["stopped"] = describe_stop(trainer)
        self.write(trainer)
        if self.problem is not None:
            raise UserError(
                f"{self.folder}/results.json cannot be written: {self.problem}; the checkpoint has its content"
            )

    def write(self, trainer: L.Trainer) -> None:
        """Write `results.json`. A failure must not keep the checkpoint, which has the same epochs, from being saved."""
        if self.folder is None or not trainer.is_global_zero:
            return
        top_losses = {f"top_losses/{get_reported_split(trainer)}": self.top_losses} if self.top_losses else {}
        results = {**self.results, **describe_best(trainer), **top_losses, "epochs": to_json(self.epochs, digits=7)}
        try:
            with atomic_write(self.folder / "results.json") as unfinished:
                unfinished.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
            self.problem = None
        except OSError as error:
            self.problem = error.strerror


def describe_run(trainer: L.Trainer, module: L.LightningModule) -> dict[str, Any]:
    """Return the network, data, seed, device, processes, threads and package versions of a run for `results.json`."""
    return {
        "model": type(module).__name__,
        "data": type(trainer.datamodule).__name__ if trainer.datamodule else None,
        "parameters": count_parameters(module),
        "hyperparameters": describe_hyperparameters(trainer, module),
        "seed": get_seed(),
        "device": trainer.strategy.root_device.type,
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "machine": platform.platform(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def describe_hyperparameters(trainer: L.Trainer, module: L.LightningModule) -> dict[str, dict[str, Any]]:
    """Return the hyperparameters of the network and the data without the names of the classes."""
    hparams = {"model": module.hparams, "data": getattr(trainer.datamodule, "hparams", {})}
    return {
        key: {name: to_json(value, digits=17) for name, value in values.items() if name != "class_names"}
        for key, values in hparams.items()
    }


def describe_best(trainer: L.Trainer) -> dict[str, Any]:
    """Return the best epoch, its metrics and the file of its checkpoint, or nothing without validation images."""
    best = get_epoch_metrics(trainer).best
    if best is None:
        return {}
    kept = find_kept_checkpoint(trainer)
    saved = {"checkpoint": f"{kept[1].parent.name}/{kept[1].name}"} if kept and kept[0] == "best" else {}
    return {"best": {"epoch": best.epoch, "step": best.step, **to_json(best.values, digits=7), **saved}}


def describe_top_losses(trainer: L.Trainer, split: str) -> list[dict[str, Any]]:
    """Return the misclassified images of a split with the highest loss.

    Each has its index in the dataset, its true and predicted class, its loss and, for an image file, its path.
    """
    module, dataset = trainer.lightning_module, get_evaluated_dataset(trainer, split)
    labels, errors = get_class_labels(module), module.get_metrics(split).top_losses(NUM_TOP_LOSSES)
    columns = (errors[name].tolist() for name in ("index", "label", "prediction", "loss"))
    described = []
    for index, label, prediction, loss in zip(*columns, strict=True):
        file = get_file_name(trainer, dataset, index)
        classes = {"true": labels[label], "predicted": labels[prediction]}
        described.append({"index": index} | ({"file": file} if file else {}) | classes | {"loss": to_json(loss, 7)})
    return described


def to_json(value: Any, digits: int) -> Any:
    """Return a value with floats rounded to significant digits, and with None in place of NaN and infinity.

    Args:
        value: A plain value, or lists and dicts of plain values.
        digits: Number of significant digits; float32 has 7, and 17 leave every float unchanged.
    """
    if isinstance(value, dict):
        return {key: to_json(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item, digits) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value
