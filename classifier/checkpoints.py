"""Checkpoints: how a run writes them, how one is found by name, and the settings in it."""

import contextlib
import io
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from classifier.base import FORMAT_VERSION, ImageClassifier
from classifier.class_paths import find_subclass, to_public_path
from classifier.data import ImageDataModule
from classifier.errors import SettingError, UserError, require
from classifier.files import write_whole

# What the network takes from the data, and is no option of its own.
LINKED = ("image_shape", "num_classes")


class RunCheckpoint(ModelCheckpoint):
    """Saves one checkpoint file after every epoch, or after every epoch that is the best so far.

    Lightning's `save_last` would leave out the epochs that are not the best.

    Args:
        name: The file is `checkpoints/<name>.ckpt` in the run's folder.
        monitor: Tag of the accuracy that has to rise, or None to save every epoch.
    """

    def __init__(self, name: str, monitor: str | None = None) -> None:
        super().__init__(
            filename=name, monitor=monitor, mode="max", save_on_train_epoch_end=True, enable_version_counter=False
        )

    on_train_batch_end = Callback.on_train_batch_end  # nothing is saved within an epoch

    @property
    def state_key(self) -> str:
        """Return the key of the state; asked for 7 times a step, and Lightning's own lists all arguments each time."""
        return self.filename


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then renames it, so that a file of that name is always whole.

    Lightning's own stages it in the temporary folder: from another file system it is copied under its final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint to `path`.

        Raises:
            UserError: When the disk is full or cannot be written; what stood at `path` before is still there.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with write_whole(path) as unfinished, unfinished.open("wb") as file:
                content = io.BytesIO()  # PyTorch reports a full disk as its own error
                torch.save(checkpoint, content)
                file.write(content.getbuffer())
        except OSError as error:
            raise UserError(f"cannot save {path}: {error.strerror}; the checkpoint before is kept") from error


def claim_run(logs: Path) -> str:
    """Make the folder of a new run, which no other start can get as well, and return its name.

    Args:
        logs: Folder of the runs.

    Raises:
        UserError: When it cannot be written.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
        taken = [path.name.removeprefix("version_") for path in logs.glob("version_*")]
        for number in itertools.count(max((int(name) for name in taken if name.isdigit()), default=-1) + 1):
            with contextlib.suppress(FileExistsError):
                (logs / f"version_{number}").mkdir()
                return f"version_{number}"
    except OSError as error:
        raise UserError(
            f"no run can be made in {logs}: {error.strerror}; --trainer.default_root_dir names another place"
        ) from error


@contextlib.contextmanager
def hold_run(folder: Path) -> Iterator[None]:
    """Keep other starts from writing to a run's folder, until the end or the death of this process.

    Raises:
        UserError: When another process holds it.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{folder} is being written by another process: stop that one, or wait for it") from error
        yield
    finally:
        os.close(handle)


def find_checkpoint(name: str, logs: Path) -> Path:
    """Return the checkpoint file that `name` stands for.

    Args:
        name: "last" or "best" of the newest run, a run's folder or a checkpoint file.
        logs: Folder of the runs.

    Raises:
        UserError: When there is none.
    """
    if name in ("last", "best"):
        files = sorted(logs.glob("*/checkpoints/*.ckpt"), key=lambda file: file.stat().st_mtime)
        if not files:
            raise UserError(f"--ckpt_path {name}: there is no run with a checkpoint under {logs}; fit makes one")
        best = files[-1].with_name("best.ckpt")
        return best if name == "best" and best.is_file() else find_last(files[-1].parent)
    path = Path(name)
    if path.is_dir():
        path = find_last(path / "checkpoints")
    if not path.is_file():
        raise UserError(f"--ckpt_path {name}: there is no file {path}; give last, best, a run's folder or a .ckpt file")
    return path


def find_last(folder: Path) -> Path:
    """Return `last.ckpt` of a folder or, where Lightning gave the names, as in a notebook, its newest checkpoint."""
    files = sorted(folder.glob("*.ckpt"), key=lambda file: file.stat().st_mtime)
    last = folder / "last.ckpt"
    return files[-1] if files and last not in files else last


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint of this package; only tensors and plain values are read, no code is run.

    Raises:
        UserError: When the file is no such checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["classes"]["model"], checkpoint["epoch"] + 1
        parts = [checkpoint[key] for key in ("classes", "hyper_parameters", "state_dict")]
        tables = all(isinstance(part, dict) for part in (*parts, checkpoint.get("datamodule_hyper_parameters", {})))
        require(tables and all(isinstance(name, str) for name in parts[0].values()), "its settings are no tables")
        version = checkpoint.get("format_version", 1)
        require(version <= FORMAT_VERSION, f"it was written by a newer version, in format {version}")
        require(all(isinstance(value, torch.Tensor) for value in parts[2].values()), "its weights are no tensors")
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if " " in line), type(error).__name__)
        raise UserError(f"{path} is not a checkpoint of classifier, or is damaged: {reason}") from error
    return checkpoint


def read_settings(checkpoint: dict[str, Any]) -> list[str]:
    """Return the command line options that rebuild the network and the data of a checkpoint; nothing is imported."""
    options = []
    for key, hparams in (
        ("model", checkpoint["hyper_parameters"]),
        ("data", checkpoint.get("datamodule_hyper_parameters", {})),
    ):
        if path := checkpoint["classes"].get(key):
            init_args = {name: value for name, value in hparams.items() if key == "data" or name not in LINKED}
            options.append(f"--{key}={json.dumps({'class_path': to_public_path(path), 'init_args': init_args})}")
    return options


def find_class(checkpoint: dict[str, Any], key: str) -> type:
    """Return the class of a checkpoint's "model" or "data"; nothing is imported.

    Raises:
        SettingError: When it is none of the networks or data sets that are known.
    """
    path = checkpoint["classes"].get(key)
    if found := find_subclass(str(path), {"model": ImageClassifier, "data": ImageDataModule}[key]):
        return found
    raise SettingError(
        f"the checkpoint's {key} is {path}; if you trust it, add --allow_import {str(path).split('.')[0]}"
    )


def load_model(checkpoint: dict[str, Any]) -> ImageClassifier:
    """Return the network of a checkpoint with its weights; no data are needed.

    Raises:
        UserError: When its class is not known, or settings or weights do not fit it.
    """
    model_class = find_class(checkpoint, "model")
    try:
        model = model_class(**checkpoint["hyper_parameters"])
    except (TypeError, ValueError) as error:
        raise UserError(f"the settings in the checkpoint do not fit {model_class.__name__}: {error}") from error
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model
