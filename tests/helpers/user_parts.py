"""Callbacks and a logger as a user might write them."""

from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.loggers import Logger


class Fails(Callback):
    """A callback that cannot be built."""

    def __init__(self, number: int = 0) -> None:
        raise RuntimeError(f"number {number}\nis wrong")


class FailsLater(Callback):
    """A callback with a bug in a hook."""

    def on_train_epoch_end(self, *_: object) -> None:
        raise RuntimeError("a bug")


class Interrupts(Callback):
    """A callback that stops the run as Ctrl-C would, in its second epoch."""

    def on_train_epoch_start(self, trainer, *_: object) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


class Dots(ProgressBar):
    """A progress bar of the user's own."""

    def on_train_epoch_end(self, *_: object) -> None:
        print(".")


class Service(Logger):
    """A logger that sends metrics to a server: as those of MLflow and W&B, it has no folder on this computer."""

    name, version = "experiment", "a1b2"

    def __init__(self) -> None:
        super().__init__()
        self.metrics: list[tuple[int | None, dict[str, float]]] = []

    def log_hyperparams(self, params, *_: object) -> None:
        self.hparams = params

    def log_metrics(self, metrics, step=None) -> None:
        self.metrics.append((step, metrics))

    def log_image(self, key: str) -> str:
        return f"image {key}"
