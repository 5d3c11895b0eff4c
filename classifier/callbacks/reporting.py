"""Properties of a network and its metrics for the console, `results.json` and TensorBoard."""

from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

from classifier.callbacks.epoch_metrics import get_epoch_metrics


def get_class_labels(module: L.LightningModule) -> list[str]:
    """Return the class names, or the class indices as strings if the network has no class names."""
    return [str(name) for name in module.hparams.class_names or range(module.hparams.num_classes)]


def get_class_accuracies(trainer: L.Trainer, split: str) -> dict[str, float]:
    """Return the accuracy (0 to 1) of every class on a split in the current epoch, by class name.

    It is NaN for a class without images. The result is empty if the split is not evaluated.
    """
    accuracies = get_epoch_metrics(trainer).class_accuracies.get(split)
    return dict(zip(get_class_labels(trainer.lightning_module), accuracies, strict=True)) if accuracies else {}


def count_parameters(module: L.LightningModule) -> int:
    """Return the number of parameters of a network, frozen ones included."""
    return sum(parameter.numel() for parameter in module.parameters())


def get_tensorboard_writers(trainer: L.Trainer) -> list[Any]:
    """Return the SummaryWriters of the Trainer's TensorBoard loggers."""
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
