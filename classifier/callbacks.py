"""What a run shows on the terminal and leaves on disk beside its checkpoints."""

import contextlib
import json
import math
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm

from classifier.files import write_whole

SPLITS = ("train", "val", "test")


def name_classes(module: L.LightningModule) -> list[str]:
    """Return the names of the classes, or their numbers where the network knows no names."""
    return [str(name) for name in module.hparams.class_names or range(module.hparams.num_classes)]


def describe_classes(module: L.LightningModule, split: str) -> dict[str, float]:
    """Return the accuracy of a split by class name; not a number where a class has no image."""
    return dict(zip(name_classes(module), module.get_scores(split).compute()["per_class"].tolist(), strict=True))


def describe_mistakes(module: L.LightningModule) -> list[dict[str, Any]]:
    """Return the mistakes on the test images that had the highest loss, with the images' indices in the test set."""
    names = name_classes(module)
    return [
        {"index": int(index), "true": names[int(label)], "predicted": names[int(guess)], "loss": make_number(loss)}
        for loss, index, label, guess in module.test_scores.compute()["mistakes"].tolist()
    ]


def make_number(value: float) -> float | None:
    """Return a number for JSON: the seven digits of a float32, or None for one that is not finite."""
    return float(f"{value:.7g}") if math.isfinite(value) else None


def count_images(module: L.LightningModule, split: str) -> int:
    """Return the number of images of a split that were scored, on all processes together."""
    return int(module.get_scores(split).compute()["counts"].sum())


class EpochLines(TQDMProgressBar):
    """A progress bar where there is a terminal, and one line an epoch that stays.

    Args:
        bar: Whether there is to be a bar on a terminal.
    """

    validation_description = "scoring"

    def __init__(self, bar: bool = True) -> None:
        # A refresh costs 165 us, a step of the small networks 1,400: every 50th is 0.2 % of it.
        super().__init__(refresh_rate=50)
        if not (bar and sys.stdout.isatty()):
            self.disable()
        self.epoch_started: float | None = None

    def init_train_tqdm(self) -> Any:
        """Return a bar that is gone when training ends."""
        bar = super().init_train_tqdm()
        bar.leave = False
        return bar

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return nothing: the figures stand in the line of the epoch."""
        return {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say what is trained on what."""
        super().on_train_start(trainer, pl_module)
        parameters = sum(parameter.numel() for parameter in pl_module.parameters())
        line = f"{type(pl_module).__name__} with {parameters:,} parameters"
        if datasets := getattr(trainer.datamodule, "datasets", None):
            counts = ", ".join(f"{len(datasets[split]):,} {split}" for split in SPLITS if split in datasets)
            line += f" on {type(trainer.datamodule).__name__} ({counts} images)"
        self.write(f"{line}, {trainer.world_size} x {trainer.strategy.root_device.type}")

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the line of the epoch before, whose training figures are logged after its end."""
        self.write_epoch(trainer, pl_module)
        super().on_train_epoch_start(trainer, pl_module)
        self.train_progress_bar.set_description(self.name_epoch(trainer, trainer.current_epoch + 1))
        self.epoch_started = time.perf_counter()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the line of the last epoch, the classes' accuracies and where everything is."""
        super().on_train_end(trainer, pl_module)
        self.write_epoch(trainer, pl_module)
        if "loss/test" in pl_module.figures:
            self.write_classes(pl_module, "test")
        if trainer.loggers and (folder := trainer.loggers[0].log_dir):
            self.write(f"\nrun: {os.path.relpath(folder)}")
            self.write(f"curves: tensorboard --host localhost --logdir {os.path.relpath(Path(folder).parent)}")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the figures of the validation images, if this is not within an epoch."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "validate":
            self.write_evaluation(pl_module, "val")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the figures of the test images."""
        super().on_test_end(trainer, pl_module)
        self.write_evaluation(pl_module, "test")

    def write_evaluation(self, module: L.LightningModule, split: str) -> None:
        """Print loss and accuracy of a split, all its images and every class."""
        loss, accuracy = (module.figures[f"{name}/{split}"] for name in ("loss", "accuracy"))
        images = count_images(module, split)
        self.write(f"{split} loss {loss:.4f} accuracy {accuracy:.2%} ({images:,} images)")
        self.write_classes(module, split)

    def write_epoch(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Print the line of the epoch just ended, if there was one."""
        if self.epoch_started is None:
            return
        parts = [self.name_epoch(trainer, trainer.current_epoch)]
        for split in SPLITS:
            if f"loss/{split}" in module.figures:
                loss, accuracy = (module.figures[f"{name}/{split}"] for name in ("loss", "accuracy"))
                parts.append(f"{split} loss {loss:.4f} accuracy {accuracy:.1%}")
                datasets = getattr(trainer.datamodule, "datasets", {})
                if split in datasets and count_images(module, split) < len(datasets[split]):
                    parts[-1] += f" of {count_images(module, split):,} images"
        self.write("  ".join([*parts, f"{time.perf_counter() - self.epoch_started:.1f} s"]))
        self.epoch_started = None

    @staticmethod
    def name_epoch(trainer: L.Trainer, epoch: int) -> str:
        """Return "epoch 3/30", or "epoch 3" where steps or time limit the run."""
        return f"epoch {epoch}" + (f"/{trainer.max_epochs}" if trainer.max_epochs > 0 else "")

    def write_classes(self, module: L.LightningModule, split: str) -> None:
        """Print the accuracy of every class."""
        self.write(f"\n{split} accuracy by class")
        for name, accuracy in describe_classes(module, split).items():
            self.write(f"  {name:<14} {accuracy:6.1%}")

    @rank_zero_only
    def write(self, text: str) -> None:
        """Print a line that stays above the bar, at once also in a pipe or a file."""
        tqdm.write(text)
        sys.stdout.flush()


def get_tensorboard_writers(trainer: L.Trainer) -> list[Any]:
    """Return the event file writers of the Trainer's TensorBoard loggers."""
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


class RunRecord(Callback):
    """Writes `results.json`, TensorBoard's chart that overlays the splits, and its HPARAMS tab."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.results: dict[str, Any] = {}
        self.epoch_started: float | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Find out where the run's files go, which every process has to ask together."""
        self.folder = Path(trainer.log_dir) if trainer.loggers and trainer.log_dir else None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what is known before the first epoch; a resumed run keeps its earlier epochs."""
        if self.folder is None or not trainer.is_global_zero:
            return
        earlier = []
        with contextlib.suppress(OSError, ValueError, KeyError):  # there is none, or it is damaged
            earlier = json.loads((self.folder / "results.json").read_text())["epochs"]
        self.results = {
            "model": type(pl_module).__name__,
            "data": type(trainer.datamodule).__name__ if trainer.datamodule else None,
            "parameters": sum(parameter.numel() for parameter in pl_module.parameters()),
            "seed": int(os.environ["PL_GLOBAL_SEED"]) if "PL_GLOBAL_SEED" in os.environ else None,
            "device": trainer.strategy.root_device.type,
            "processes": trainer.world_size,
            "threads": torch.get_num_threads(),
            "machine": platform.platform(),
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in ("torch", "torchvision", "lightning", "torchmetrics", "tensorboard")},
            "epochs": [epoch for epoch in earlier if epoch["epoch"] <= trainer.current_epoch],
        }
        for writer in get_tensorboard_writers(trainer):
            self.write_layout(writer, pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the epoch before, whose training figures are logged after its end."""
        self.record_epoch(trainer, pl_module)
        self.epoch_started = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Have the test images scored also where `max_steps` ends a run within an epoch."""
        if trainer.global_step == trainer.max_steps:
            trainer.should_stop = True

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the last epoch."""
        self.record_epoch(trainer, pl_module)

    def record_epoch(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Add the epoch just ended, if there was one, to `results.json`."""
        if self.epoch_started is None or not self.results:
            return
        evaluated = [split for split in SPLITS if f"loss/{split}" in module.figures]
        record = {"epoch": trainer.current_epoch}
        record |= {tag: make_number(value) for tag, value in module.figures.items()}
        record["seconds"] = round(time.perf_counter() - self.epoch_started, 3)
        record["images_scored"] = {split: count_images(module, split) for split in evaluated}
        if "test" in evaluated:
            accuracies = describe_classes(module, "test")
            record["accuracy_by_class/test"] = {name: make_number(value) for name, value in accuracies.items()}
            self.results["mistakes/test"] = describe_mistakes(module)
        self.results["epochs"].append(record)
        self.epoch_started = None
        with write_whole(self.folder / "results.json") as unfinished:
            unfinished.write_text(json.dumps(self.results, indent=2, allow_nan=False) + "\n")

    @staticmethod
    def write_layout(writer: Any, module: L.LightningModule) -> None:
        """Write the custom-scalars layout, and the settings of the HPARAMS tab with final test accuracy as result."""
        from torch.utils.tensorboard.summary import hparams

        charts = {name: ["Multiline", [f"{name}/{split}" for split in SPLITS]] for name in ("loss", "accuracy")}
        writer.add_custom_scalars({"training": charts})
        settings = {
            key: value if isinstance(value, (bool, int, float, str)) else str(value)
            for key, value in {**module.hparams, **getattr(module.trainer.datamodule, "hparams", {})}.items()
            if key != "class_names"
        }
        settings["model"] = type(module).__name__
        settings["data"] = type(module.trainer.datamodule).__name__
        # add_hparams and log_hyperparams would also write a false point of the metric.
        for summary in hparams(settings, {"accuracy/test": 0}):
            writer.file_writer.add_summary(summary)
