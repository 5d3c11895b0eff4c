"""Checkpoint writing: one file per epoch, written atomically."""

import io
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from classifier.checkpoint_format import read_checkpoint
from classifier.errors import UserError
from classifier.files import atomic_write
from classifier.hparams import LOCAL_PATH, check_limit


class EpochCheckpoint(ModelCheckpoint):
    """Overwrites one checkpoint file after every epoch, or after every evaluation that improves a metric.

    Lightning's `save_last` would save only the epochs that improve the metric. With a metric, the file contains the
    weights that were evaluated, also if evaluations take place within epochs or not in every epoch.

    Args:
        name: Name of the file, which is `checkpoints/<name>.ckpt` in the run's folder.
        monitor: Name of the metric to maximise, such as "accuracy/val"; None saves after every epoch.
    """

    evaluated_step = -1  # number of optimizer steps at the last evaluation

    def __init__(self, name: str, monitor: str | None = None) -> None:
        super().__init__(
            filename=name,
            monitor=monitor,
            mode="max",
            save_on_train_epoch_end=monitor is None,
            enable_version_counter=False,
        )
        self.name = name

    # Nothing is saved within an epoch; Lightning's own hook checks that in every step, which takes 1% of it.
    on_train_batch_end = Callback.on_train_batch_end

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """With a metric, save an evaluation within an epoch that improves it."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self.evaluated_step = trainer.global_step
        # At the end of an epoch, `on_train_epoch_end` saves, so that the checkpoint includes the epoch's records.
        if self.monitor and not (trainer.is_last_batch or trainer.should_stop):
            super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the epoch. With a metric, save it only if its last weights were evaluated and improve the metric."""
        if not self.monitor:
            super().on_train_epoch_end(trainer, pl_module)
        elif self.evaluated_step == trainer.global_step:
            super().on_validation_end(trainer, pl_module)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, including the last value of the metric, which Lightning leaves out.

        It is also restored if the folder was moved, which Lightning would take for another run.

        Raises:
            UserError: The state is inconsistent.
        """
        best = state_dict.get("best_k_models", {})
        if best and state_dict.get("kth_best_model_path") not in best:
            raise UserError(f"the checkpoint's callbacks.{self.name} names a best checkpoint that it does not list")
        # As Lightning writes the path, which deletes the file under a path that is written differently.
        file = f"{self.dirpath}/{self.name}.ckpt"
        if state_dict.get("dirpath") != self.dirpath and Path(file).is_file():
            models = dict.fromkeys([file] * len(best), next(iter(best.values()), None))
            paths = {"best_model_path": file, "kth_best_model_path": next(iter(models), "")}
            state_dict = {**state_dict, **paths, "dirpath": self.dirpath, "best_k_models": models}
        super().load_state_dict(state_dict)
        self.current_score = state_dict.get("current_score")

    @property
    def state_key(self) -> str:
        """Key of the callback's state. Lightning reads it 7 times per step; its default key formats all arguments."""
        return self.name


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically, and reads only those that are undamaged.

    Lightning writes a checkpoint to the system's temporary folder, and then moves it. If the two folders are on
    different file systems, the move is a copy, and a crash during the copy leaves a truncated checkpoint.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint to a file.

        Args:
            checkpoint: Contents of the checkpoint.
            path: The file; missing folders are created.
            storage_options: Not used.

        Raises:
            SettingError: The path is not local.
            UserError: The disk is full or cannot be written to. A previous file at `path` is then kept.
        """
        check_limit("the path of a checkpoint", path, LOCAL_PATH)
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as unfinished, unfinished.open("wb") as file:
                content = io.BytesIO()  # writing to the file directly, PyTorch reports a full disk as its own bug
                torch.save(checkpoint, content)
                file.write(content.getbuffer())
        except OSError as error:
            raise UserError(f"cannot save {path}: {error.strerror}; the previous checkpoint is still there") from error

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Return the content of a checkpoint file, with all tensors on the CPU.

        Args:
            path: The file.
            map_location: Not used; Lightning moves what it loads to the device of the network.
            weights_only: Not used; no code in the file is run.

        Raises:
            UserError: The file is damaged, or is not a checkpoint of classifier.
        """
        return read_checkpoint(path)
