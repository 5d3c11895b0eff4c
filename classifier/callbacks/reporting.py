"""Properties of a network and its metrics for the console, `results.json` and TensorBoard."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

from classifier.callbacks.checkpointing import EpochCheckpoint
from classifier.callbacks.epoch_metrics import get_epoch_metrics
from classifier.data.dataset import ImageDataset


def get_class_labels(module: L.LightningModule) -> list[str]:
    """Return the class names, or the class indices as strings if the network has no class names."""
    return [str(name) for name in module.hparams.class_names or range(module.hparams.num_classes)]


def get_reported_split(trainer: L.Trainer) -> str:
    """Return the split whose results are shown after training: "test", or "val" if there are no test images."""
    evaluated = getattr(trainer.lightning_module, "evaluated_splits", ())
    return "test" if "test" in (getattr(trainer.datamodule, "datasets", None) or evaluated) else "val"


def find_kept_checkpoint(trainer: L.Trainer) -> tuple[str, Path] | None:
    """Return the checkpoint that `--ckpt_path best` means, as "best" or "last" and its file, or None without one."""
    callbacks = [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, EpochCheckpoint)]
    for name in ("best", "last"):
        callback = next((callback for callback in callbacks if callback.name == name), None)
        # A run that continues in another folder has the path of its checkpoint in the old one at first.
        if callback and callback.best_model_path and Path(callback.best_model_path).parent == Path(callback.dirpath):
            return name, Path(callback.best_model_path)
    return None


def get_evaluated_dataset(trainer: L.Trainer, split: str) -> ImageDataset | None:
    """Return the dataset of a split that is being evaluated, or None if a loader of the user's own provides it."""
    loaders = trainer.test_dataloaders if trainer.state.fn == "test" else trainer.val_dataloaders
    datasets = [getattr(loader, "dataset", None) for loader in (loaders if isinstance(loaders, list) else [loaders])]
    return next((data for data in datasets if isinstance(data, ImageDataset) and data.split == split), None)


def get_file_name(trainer: L.Trainer, dataset: ImageDataset | None, index: int) -> str | None:
    """Return the file of an image, or None if the image is not from a file.

    The path is relative to the folder of the data, if it is in it.
    """
    name = dataset.name(index) if dataset is not None else f"#{index}"
    if name == f"#{index}":
        return None
    data, path = trainer.datamodule, Path(name)
    root = getattr(data, "root", None) or getattr(data, "hparams", {}).get("root")
    is_inside = root and path.is_relative_to(root) and ".." not in path.relative_to(root).parts
    return str(path.relative_to(root)) if is_inside else name


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


def find_events(trainer: L.Trainer) -> Path | None:
    """Return the folder that a Trainer's first TensorBoard logger writes to, or None if there is no such logger."""
    folders = [logger.log_dir for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return Path(folders[0]) if folders else None
