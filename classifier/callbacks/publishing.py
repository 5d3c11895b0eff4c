"""Pass metrics on: to callbacks that monitor them, to the caller of the Trainer, and to loggers."""

import math

import lightning as L

from classifier.errors import DivergenceError


def publish(module: L.LightningModule, values: dict[str, float]) -> None:
    """Make values available to callbacks that monitor a metric, and to the caller of the Trainer."""
    trainer = module.trainer
    in_fit = trainer.state.fn == "fit"
    # Lightning uses a logged "step" as the x axis. During `fit` it would also become part of the file names of
    # checkpoints, and loggers therefore get the values directly.
    position = {} if in_fit else {"step": float(trainer.current_epoch)}
    for name, value in {**values, **position}.items():
        # Not `module.log`, which refuses these names. All processes have the same values: max keeps them exact.
        L.LightningModule.log(module, name, value, logger=False if in_fit else None, sync_dist=True, reduce_fx="max")


def log_to_loggers(trainer: L.Trainer, values: dict[str, float], position: int) -> None:
    """Write values to all loggers of a Trainer, at a position on the x axis."""
    for logger in trainer.loggers:
        logger.log_metrics(values, step=position)


def check_finite(loss: float, split: str, epochs_done: int, lr: float) -> None:
    """Check that a loss is finite.

    Raises:
        DivergenceError: It is infinite or NaN.
    """
    if not math.isfinite(loss):
        raise DivergenceError(
            f"the {split} loss is not finite after {epochs_done} epochs: train with a learning rate below {lr} "
            "(--model.lr), or clip the gradients (--trainer.gradient_clip_val 1)"
        )
