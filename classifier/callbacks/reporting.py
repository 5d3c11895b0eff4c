"""Properties of a network and its metrics for the console, `results.json` and TensorBoard."""

from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger


def get_class_labels(module: L.LightningModule) -> list[str]:
    """Return the class names, or the class indices as strings if the network has no class names."""
    return [str(name) for name in module.hparams.class_names or range(module.hparams.num_classes)]


def get_class_accuracies(module: L.LightningModule, split: str) -> dict[str, float]:
    """Return the accuracy (0 to 1) of every class on a split, by class name; NaN for a class without images."""
    accuracies = module.get_metrics(split).compute()["accuracy_per_class"].tolist()
    return dict(zip(get_class_labels(module), accuracies, strict=True))


def count_images(module: L.LightningModule, split: str) -> int:
    """Return the number of evaluated images of a split, summed over all processes."""
    return int(module.get_metrics(split).compute()["num_images"])


def count_parameters(module: L.LightningModule) -> int:
    """Return the number of parameters of a network, frozen ones included."""
    return sum(parameter.numel() for parameter in module.parameters())


def get_tensorboard_writers(trainer: L.Trainer) -> list[Any]:
    """Return the SummaryWriters of the Trainer's TensorBoard loggers."""
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
