"""Checkpoints: how a run writes them, how one is found by name, and the settings in it."""

import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from classifier.base import ImageClassifier
from classifier.data import ImageDataModule
from classifier.errors import UserError

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

    @property
    def state_key(self) -> str:
        """Return the key of the state; asked for 7 times a step, and Lightning's own lists all arguments each time."""
        return self.filename


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
        checkpoint["classes"]["model"], checkpoint["hyper_parameters"], checkpoint["state_dict"]
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{path} is not a checkpoint of classifier, or is damaged: {reason[0]}") from error
    return checkpoint


def read_settings(checkpoint: dict[str, Any]) -> list[str]:
    """Return the command line options that rebuild the network and the data of a checkpoint.

    Raises:
        UserError: When the checkpoint names a class that is not one of the networks or data sets.
    """
    options = []
    for key, hparams in (
        ("model", checkpoint["hyper_parameters"]),
        ("data", checkpoint.get("datamodule_hyper_parameters", {})),
    ):
        if path := checkpoint["classes"].get(key):
            if find_class(checkpoint, key) is None:
                raise UserError(f"the checkpoint's {key} is {path}; if that is a class of yours, add --{key} {path}")
            init_args = {name: value for name, value in hparams.items() if key == "data" or name not in LINKED}
            options.append(f"--{key}={json.dumps({'class_path': path, 'init_args': init_args})}")
    return options


def find_class(checkpoint: dict[str, Any], key: str) -> type | None:
    """Return the class of a checkpoint's "model" or "data", if it is one of the networks or data sets known here."""
    parts = list_subclasses({"model": ImageClassifier, "data": ImageDataModule}[key])
    known = {f"{part.__module__}.{part.__qualname__}": part for part in parts}
    return known.get(checkpoint["classes"].get(key))


def load_model(path: Path) -> ImageClassifier:
    """Return the network of a checkpoint with its weights; no data are needed.

    Raises:
        UserError: When the file is no checkpoint, or its network is not known here.
    """
    checkpoint = load_checkpoint(path)
    if (model_class := find_class(checkpoint, "model")) is None:
        name = checkpoint["classes"]["model"]
        raise UserError(f"the checkpoint's model is {name}; if that is a class of yours, add --model {name}")
    return model_class.load_from_checkpoint(path, map_location="cpu", weights_only=True)


def list_subclasses(base: type) -> list[type]:
    """Return all classes below a class, bases of others included."""
    return [below for child in base.__subclasses__() for below in (child, *list_subclasses(child))]
