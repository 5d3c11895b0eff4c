"""Why a run stopped."""

import re
from datetime import timedelta

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from classifier.callbacks.epoch_metrics import get_epoch_metrics
from classifier.errors import one_line

SUFFIX = " Signaling Trainer to stop."  # of Lightning's messages


def describe_stop(trainer: L.Trainer) -> str:
    """Return why training has ended, such as "max_epochs 20 reached", when it has ended without an error."""
    epochs = get_epoch_metrics(trainer).epochs
    if reached_max_epochs(trainer):
        return f"max_epochs {trainer.max_epochs} reached"
    if 0 < trainer.max_steps <= trainer.global_step:
        return f"max_steps {trainer.max_steps} reached"
    first_epoch = int(epochs[0]["epoch"]) - 1 if epochs else trainer.current_epoch
    callbacks: list[Callback] = trainer.callbacks
    for callback in callbacks:
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            if callback.stopped_epoch >= first_epoch:  # and not before the checkpoint from which training continued
                return f"{type(callback).__name__}: {describe_early_stop(callback)}"
        elif isinstance(callback, Timer) and (left := callback.time_remaining()) is not None and left <= 0:
            return f"max_time {timedelta(seconds=round(callback.time_elapsed() + left))} reached"
    return "a callback stopped the run"


def reached_max_epochs(trainer: L.Trainer) -> bool:
    """Return whether a run has completed all of its epochs."""
    return trainer.is_last_batch and 0 < (trainer.max_epochs or 0) <= trainer.current_epoch


def describe_early_stop(callback: EarlyStopping) -> str:
    """Return why an EarlyStopping has stopped the run."""
    if callback.stopping_reason is EarlyStoppingReason.PATIENCE_EXHAUSTED:
        count = callback.wait_count
        times = "evaluation" if count == 1 else f"{count} evaluations"
        return f"{callback.monitor} has not improved in the last {times}; the best is {float(callback.best_score):.4f}"
    message = one_line(callback.stopping_reason_message or "").removesuffix(SUFFIX).removesuffix(".")
    message = re.sub(r"\d+\.\d{5,}", lambda number: f"{float(number[0]):.4f}", message)
    return message[:1].lower() + message[1:]


def describe_error(error: BaseException) -> str:
    """Return the reason for which a run stopped, if an exception ended it."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"{type(error).__name__}: {one_line(error)[:200]}"
