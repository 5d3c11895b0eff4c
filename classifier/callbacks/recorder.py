"""Records every epoch of a run in `results.json`."""

import contextlib
import json
import math
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn

from classifier.callbacks.epoch_metrics import SPLITS, get_epoch_values
from classifier.callbacks.reporting import count_images, count_parameters, get_class_accuracies, get_class_labels
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

    def state_dict(self) -> dict[str, Any]:
        """Return the recorded epochs for the checkpoint."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the recorded epochs from a checkpoint."""
        self.epochs = list(state_dict["epochs"])

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Store the run's folder. Every process has to call this, because `log_dir` is a collective operation."""
        self.folder = Path(trainer.log_dir) if trainer.loggers and trainer.log_dir else None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the settings of the run, and discard epochs after the one that training resumes from."""
        if trainer.current_epoch == 0:
            self.epochs = []
        elif not self.epochs and self.folder is not None:
            # A checkpoint of version 0.1 does not carry the epochs.
            with contextlib.suppress(OSError, ValueError, KeyError):  # the file is missing or damaged
                self.epochs = json.loads((self.folder / "results.json").read_text())["epochs"]
        self.epochs = [epoch for epoch in self.epochs if epoch["epoch"] <= trainer.current_epoch]
        self.results = describe_run(trainer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's clock."""
        self.epoch_started = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch to `results.json`. Checkpoints are written afterwards, so they contain it."""
        values = get_epoch_values(trainer)
        evaluated = [split for split in SPLITS if f"loss/{split}" in values]
        record: dict[str, Any] = {"epoch": trainer.current_epoch + 1}
        record |= {tag: to_json_number(value) for tag, value in values.items()}
        record["seconds"] = round(time.perf_counter() - self.epoch_started, 3)
        record["images_scored"] = {split: count_images(pl_module, split) for split in evaluated}
        if "test" in evaluated:
            accuracies = get_class_accuracies(pl_module, "test")
            record["accuracy_by_class/test"] = {name: to_json_number(value) for name, value in accuracies.items()}
            self.results["top_losses/test"] = describe_top_losses(pl_module)
        self.epochs.append(record)
        if self.folder is not None and trainer.is_global_zero:
            text = json.dumps({**self.results, "epochs": self.epochs}, indent=2, allow_nan=False)
            try:
                with atomic_write(self.folder / "results.json") as unfinished:
                    unfinished.write_text(text + "\n")
            except OSError as error:  # must not keep the checkpoint, which contains the epochs, from being written
                rank_zero_warn(f"{self.folder / 'results.json'} cannot be written: {error.strerror}")


def describe_run(trainer: L.Trainer, module: L.LightningModule) -> dict[str, Any]:
    """Return the network, data, seed, device, processes, threads and package versions of a run for `results.json`."""
    return {
        "model": type(module).__name__,
        "data": type(trainer.datamodule).__name__ if trainer.datamodule else None,
        "parameters": count_parameters(module),
        "seed": get_seed(),
        "device": trainer.strategy.root_device.type,
        "processes": trainer.world_size,
        "threads": torch.get_num_threads(),
        "machine": platform.platform(),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def describe_top_losses(module: L.LightningModule) -> list[dict[str, Any]]:
    """Return the misclassified test images with the highest loss: index, true class, predicted class and loss."""
    labels, errors = get_class_labels(module), module.get_metrics("test").top_losses(NUM_TOP_LOSSES)
    columns = (errors[name].tolist() for name in ("index", "label", "prediction", "loss"))
    return [
        {"index": index, "true": labels[label], "predicted": labels[prediction], "loss": to_json_number(loss)}
        for index, label, prediction, loss in zip(*columns, strict=True)
    ]


def to_json_number(value: float) -> float | None:
    """Return a number rounded to seven significant digits, as float32 has, or None if it is not finite."""
    return float(f"{value:.7g}") if math.isfinite(value) else None
