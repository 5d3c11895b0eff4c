"""Console output of a run: a progress bar, one line per epoch and a summary."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm

from classifier.callbacks.class_table import format_accuracies
from classifier.callbacks.epoch_metrics import SPLITS, get_epoch_metrics
from classifier.callbacks.own_metrics import format_metrics
from classifier.callbacks.reporting import count_parameters, get_class_accuracies
from classifier.callbacks.run_summary import summarize_run
from classifier.callbacks.time_left import TimeLeft


class ResultPrinter(Callback):
    """Prints one line after every epoch, and the results at the end."""

    state_key = "ResultPrinter"

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the network, the data and the device of the run."""
        super().on_train_start(trainer, pl_module)
        line = f"{type(pl_module).__name__} with {count_parameters(pl_module):,} parameters"
        if datasets := getattr(trainer.datamodule, "datasets", None):
            counts = ", ".join(f"{len(datasets[split]):,} {split}" for split in SPLITS if split in datasets)
            line += f" on {type(trainer.datamodule).__name__} ({counts} images)"
        self.write(f"{line}, {trainer.world_size} x {trainer.strategy.root_device.type}")
        if datasets and datasets.keys() == {"train"}:
            self.write("the network is not evaluated: there are neither validation nor test images")

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the metrics and the duration of the epoch in one line."""
        super().on_train_epoch_end(trainer, pl_module)
        metrics, parts = get_epoch_metrics(trainer), [self._name_epoch(trainer)]
        values = metrics.values
        if not trainer.is_last_batch:
            parts[0] += f" ({trainer.fit_loop.batch_idx + 1:,} of {trainer.num_training_batches:,} batches)"
        for split in SPLITS:
            if f"loss/{split}" not in values:
                continue
            parts.append(f"{split} loss {values[f'loss/{split}']:.4f} accuracy {values[f'accuracy/{split}']:.1%}")
            datasets, scored = getattr(trainer.datamodule, "datasets", {}), metrics.images_scored[split]
            if split in datasets and scored < len(datasets[split]):
                parts[-1] += f" of {scored:,} images"
            parts[-1] += format_metrics(metrics.own, split)
        parts += [other] if (other := format_metrics(metrics.own, None).strip()) else []
        self.write("  ".join([*parts, f"{metrics.seconds:.1f} s"]))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the epoch whose weights are kept, why the run stopped, and how to continue with the result."""
        super().on_train_end(trainer, pl_module)
        for line in summarize_run(trainer):
            self.write(line)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the metrics of the validation images, unless the validation is part of training."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn == "validate":
            self._write_evaluation(trainer, "val")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the metrics of the test images."""
        super().on_test_end(trainer, pl_module)
        self._write_evaluation(trainer, "test")

    def _write_evaluation(self, trainer: L.Trainer, split: str) -> None:
        """Print loss and accuracy of a split, in total and by class."""
        metrics = get_epoch_metrics(trainer)
        loss, accuracy = (metrics.values[f"{name}/{split}"] for name in ("loss", "accuracy"))
        own = format_metrics(metrics.own, split) + format_metrics(metrics.own, None)
        self.write(f"{split} loss {loss:.4f} accuracy {accuracy:.2%}{own} ({metrics.images_scored[split]:,} images)")
        self._write_classes(trainer, split)

    def _write_classes(self, trainer: L.Trainer, split: str) -> None:
        """Print the accuracies of the classes."""
        self.write("\n" + "\n".join(format_accuracies(split, get_class_accuracies(trainer, split))))

    @staticmethod
    def _name_epoch(trainer: L.Trainer) -> str:
        """Return "epoch 3/30", or "epoch 3" if the run is limited by steps or time."""
        return f"epoch {trainer.current_epoch + 1}" + (f"/{trainer.max_epochs}" if trainer.max_epochs > 0 else "")

    @rank_zero_only
    def write(self, text: str) -> None:
        """Print a line above the progress bar, and flush standard output."""
        tqdm.write(text)
        sys.stdout.flush()


class ConsoleReporter(ResultPrinter, TQDMProgressBar):
    """Shows a progress bar if standard output is a terminal, and prints the results.

    Args:
        bar: Whether to show the progress bar.
    """

    validation_description = "scoring"
    state_key = "ConsoleReporter"
    # Without the time left for the epoch, because that for the run is shown.
    TRAIN_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{rate_noinv_fmt}{postfix}]"

    def __init__(self, bar: bool = True) -> None:
        # A refresh takes 165 us, and a step of the small networks 1,400: every 50 steps, that is 0.2%.
        super().__init__(refresh_rate=50)
        if not (bar and sys.stdout.isatty()):
            self.disable()
        self.time_left = TimeLeft()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the first lines, and start the clock."""
        super().on_train_start(trainer, pl_module)
        if self.is_enabled:
            self.time_left.start(trainer)

    def init_train_tqdm(self) -> Any:
        """Return a bar that disappears when training ends."""
        bar = super().init_train_tqdm()
        bar.leave, bar.bar_format = False, self.TRAIN_FORMAT
        return bar

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return the running training loss and the time left for the run, as soon as they are known."""
        points = get_epoch_metrics(trainer).running_loss.points
        left = self.time_left.estimate(trainer)
        loss = {"loss": f"{points[-1][1]:.4f}"} if points else {}
        return loss | ({} if left is None else {"left": tqdm.format_interval(left)})

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's bar."""
        super().on_train_epoch_start(trainer, pl_module)
        self.train_progress_bar.set_description(self._name_epoch(trainer))


class EvaluationBar(TQDMProgressBar):
    """Shows a progress bar for every evaluation if standard output is a terminal, and prints nothing."""

    state_key = "EvaluationBar"

    def __init__(self) -> None:
        super().__init__()
        if not sys.stdout.isatty():
            self.disable()

    def init_test_tqdm(self) -> Any:
        """Return a bar that disappears when the evaluation ends."""
        return self._make_temporary(super().init_test_tqdm(), "test images")

    def init_validation_tqdm(self) -> Any:
        """Return a bar that disappears when the evaluation ends."""
        return self._make_temporary(super().init_validation_tqdm(), "validation images")

    @staticmethod
    def _make_temporary(bar: Any, description: str) -> Any:
        """Return a bar with a description, made to disappear when it is closed."""
        bar.leave = False
        bar.set_description(description)
        return bar

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Return no metrics for the progress bar."""
        return {}
