"""Load a checkpoint, check it, and rebuild network and data from it."""

import pydoc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from classifier.class_paths import PACKAGE, find_subclass, to_public_path
from classifier.data.base import ImageDataModule
from classifier.errors import SettingError, UserError, require
from classifier.models.base import ImageClassifier
from classifier.models.checkpoint_hooks import FORMAT_VERSION
from classifier.models.checks import ARGS_FROM_DATA

BASES = {"model": ImageClassifier, "data": ImageDataModule}
HPARAMS = {"model": "hyper_parameters", "data": "datamodule_hyper_parameters"}
# Hyperparameters that had another name in version 0.1.
RENAMED = {"test_share": "test_split"}


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint of this package; only tensors and plain values are read, and no code is run.

    A checkpoint of version 0.1 is returned in the present format.

    Raises:
        UserError: The file is not such a checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        version = checkpoint.get("format_version", 1)
        checkpoint["classes"]["model"], checkpoint["epoch"] + 1
        checkpoint.setdefault(HPARAMS["data"], {})
        tables = [checkpoint[key] for key in ("classes", *HPARAMS.values(), "state_dict")]
        valid = all(isinstance(table, dict) for table in tables)
        require(valid and all(isinstance(name, str) for name in tables[0].values()), "its settings are not tables")
        require(all(isinstance(value, torch.Tensor) for value in tables[-1].values()), "its weights are not tensors")
        require(version <= FORMAT_VERSION, f"a newer version wrote it, in format {version}")
    except Exception as error:
        reason = next((line for line in str(error).splitlines() if " " in line), type(error).__name__)
        raise UserError(f"{path} is not a checkpoint of classifier, or is damaged: {reason}") from error
    checkpoint["classes"] = {key: to_public_path(name) for key, name in checkpoint["classes"].items()}
    data = checkpoint[HPARAMS["data"]]
    checkpoint[HPARAMS["data"]] = {RENAMED.get(name, name): value for name, value in data.items()}
    return checkpoint


def get_settings(checkpoint: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return class path and arguments of "model" and, if the checkpoint names it, "data"; nothing is imported.

    The arguments of the network are without those that come from the data.
    """
    return {
        key: {
            "class_path": class_path,
            "init_args": {
                name: value
                for name, value in checkpoint[HPARAMS[key]].items()
                if key == "data" or name not in ARGS_FROM_DATA
            },
        }
        for key in BASES
        if (class_path := checkpoint["classes"].get(key))
    }


def find_class(checkpoint: dict[str, Any], key: str, allow_import: Sequence[str] = ()) -> type:
    """Return the class of a checkpoint's "model" or "data".

    Args:
        checkpoint: The checkpoint.
        key: "model" or "data".
        allow_import: Packages that may be imported for it, besides this one.

    Raises:
        SettingError: It names neither a network or data set of those packages nor one that is imported already.
    """
    path = str(checkpoint["classes"].get(key))
    package = path.partition(".")[0]
    if package in (PACKAGE, *allow_import):
        pydoc.locate(path)
    if found := find_subclass(path, BASES[key]):
        return found
    raise SettingError(f"the checkpoint's {key} is {path}; if you trust it, add --allow_import {package}")


def load_model(checkpoint: dict[str, Any], allow_import: Sequence[str] = ()) -> ImageClassifier:
    """Return the network of a checkpoint with its weights; its data are not needed.

    Args:
        checkpoint: The checkpoint.
        allow_import: Packages that may be imported for its class, besides this one.

    Raises:
        UserError: Its class is not known, or hyperparameters or weights do not fit it.
    """
    model_class = find_class(checkpoint, "model", allow_import)
    try:
        model = model_class(**checkpoint["hyper_parameters"])
    except (TypeError, ValueError) as error:
        raise UserError(f"the settings in the checkpoint do not fit {model_class.__name__}: {error}") from error
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model


def load_data(checkpoint: dict[str, Any], allow_import: Sequence[str] = ()) -> ImageDataModule:
    """Return the data module of a checkpoint; nothing is read or downloaded yet.

    Args:
        checkpoint: The checkpoint.
        allow_import: Packages that may be imported for its class, besides this one.

    Raises:
        SettingError: Its class is not known.
    """
    return find_class(checkpoint, "data", allow_import)(**checkpoint[HPARAMS["data"]])
