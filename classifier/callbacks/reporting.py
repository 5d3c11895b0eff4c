"""What console, recorder and TensorBoard read from a network, its metrics and its Trainer."""

from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger


def get_class_labels(module: L.LightningModule) -> list[str]:
    """Return the names of the classes, or their numbers if the network knows no names."""
    return [str(name) for name in module.hparams.class_names or range(module.hparams.num_classes)]


def get_class_accuracies(module: L.LightningModule, split: str) -> dict[str, float]:
    """Return the accuracy on a split by class name; it is not a number for a class without images."""
    accuracies = module.get_metrics(split).compute()["accuracy_per_class"].tolist()
    return dict(zip(get_class_labels(module), accuracies, strict=True))


def count_images(module: L.LightningModule, split: str) -> int:
    """Return the number of images of a split that were scored, on all processes together."""
    return int(module.get_metrics(split).compute()["num_images"])


def count_parameters(module: L.LightningModule) -> int:
    """Return the number of parameters of a network, frozen ones included."""
    return sum(parameter.numel() for parameter in module.parameters())


def get_tensorboard_writers(trainer: L.Trainer) -> list[Any]:
    """Return the event file writers of the Trainer's TensorBoard loggers."""
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
