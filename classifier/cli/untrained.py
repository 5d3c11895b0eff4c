"""Runs that end before anything is trained or saved: report them, and remove their folders."""

import contextlib
import shutil
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Timer

from classifier.cli.trainer_setup import is_first_process
from classifier.errors import SettingError


def check_trained(trainer: L.Trainer, previous_steps: int, previous_epochs: int) -> None:
    """Check that a run that has ended has trained for at least one step, or completed an epoch.

    A checkpoint from the last step of an epoch leaves only the evaluation to be done.

    Args:
        trainer: The Trainer after `fit`.
        previous_steps: Number of steps before the checkpoint that the run started from.
        previous_epochs: Number of epochs that were completed at that checkpoint.

    Raises:
        SettingError: There was neither. The message names the limit that ended the run.
    """
    if trainer.global_step > previous_steps or trainer.current_epoch > previous_epochs:
        return
    reason = "a callback stopped the run before its first step"
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    if trainer.num_training_batches == 0:
        reason = "the training set has no batch"
    elif 0 <= trainer.max_steps <= previous_steps:
        reason = f"the checkpoint has {previous_steps} steps already; set --trainer.max_steps above {previous_steps}"
    elif 0 <= (trainer.max_epochs or -1) <= trainer.current_epoch:
        done = trainer.current_epoch
        reason = f"the checkpoint has {done} epochs already; set --trainer.max_epochs above {done}"
    elif any((timer.time_remaining() or 0) <= 0 for timer in timers):
        elapsed = max(timer.time_elapsed() for timer in timers)
        reason = f"the time was up before the first step; set --trainer.max_time above {elapsed:.1f} seconds"
    raise SettingError(f"nothing was trained: {reason}")


def remove_empty_run(log_dir: str, error: BaseException) -> bool:
    """Remove the folder of a run that an error ended before an epoch was saved.

    Args:
        log_dir: Folder of the run.
        error: The error; after Ctrl-C or SIGTERM, the folder is kept.

    Returns:
        Whether there is nothing to keep.
    """
    run_dir = Path(log_dir)
    if not isinstance(error, Exception) or any(run_dir.glob("**/*.ckpt")) or (run_dir / "results.json").exists():
        return False
    if is_first_process():
        shutil.rmtree(run_dir, ignore_errors=True)
        with contextlib.suppress(OSError):
            run_dir.parent.rmdir()  # unless there are other runs
    return True
