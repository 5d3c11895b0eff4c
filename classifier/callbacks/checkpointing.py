"""When and how a run writes its checkpoints."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from classifier.errors import UserError
from classifier.files import atomic_write


class EpochCheckpoint(ModelCheckpoint):
    """Writes one checkpoint file after every epoch, or after every epoch that is the best so far.

    Lightning's `save_last` would skip the epochs that are not the best.

    Args:
        name: The file is `checkpoints/<name>.ckpt` in the run's folder.
        monitor: Tag of the accuracy that has to rise, or None to save every epoch.
    """

    def __init__(self, name: str, monitor: str | None = None) -> None:
        super().__init__(
            filename=name, monitor=monitor, mode="max", save_on_train_epoch_end=True, enable_version_counter=False
        )
        self.name = name

    # Nothing is saved within an epoch; Lightning's own hook checks that in every step, which takes 1 % of it.
    on_train_batch_end = Callback.on_train_batch_end

    @property
    def state_key(self) -> str:
        """Key of the state; Lightning asks for it 7 times per step, and its own key formats all arguments each time."""
        return self.name


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically.

    Lightning stages a checkpoint in the system's temporary folder. From another file system, it is copied under its
    final name, and a crash leaves a truncated file.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint to `path`.

        Raises:
            UserError: The disk is full or cannot be written to. The previous file at `path` is still there.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_write(path) as unfinished, unfinished.open("wb") as file:
                content = io.BytesIO()  # writing to the file directly, PyTorch reports a full disk as its own bug
                torch.save(checkpoint, content)
                file.write(content.getbuffer())
        except OSError as error:
            raise UserError(f"cannot save {path}: {error.strerror}; the previous checkpoint is still there") from error
