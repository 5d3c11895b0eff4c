"""Load a checkpoint, check it, and rebuild network and data from it."""

import contextlib
import os
import pydoc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classifier.checkpoint_format import read_checkpoint
from classifier.class_paths import PACKAGE, find_subclass, to_public_path
from classifier.data.base import ImageDataModule
from classifier.errors import SettingError, UserError, first_line
from classifier.models.base import ImageClassifier
from classifier.models.checks import ARGS_FROM_DATA, check_stored_network
from classifier.runs.folders import find_checkpoint

BASES = {"model": ImageClassifier, "data": ImageDataModule}
HPARAMS = {"model": "hyper_parameters", "data": "datamodule_hyper_parameters"}
# Hyperparameters that had another name in version 0.1.
RENAMED = {"test_share": "test_split"}


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint of this package; only tensors and plain values are read, and no code is run.

    A checkpoint of version 0.1 is converted to the current format.

    Raises:
        UserError: The file is missing or damaged, or is not a checkpoint of this package.
    """
    checkpoint = read_checkpoint(path)
    checkpoint["classes"] = {key: to_public_path(name) for key, name in checkpoint["classes"].items()}
    checkpoint[HPARAMS["data"]] = update_names(checkpoint[HPARAMS["data"]])
    return checkpoint


def update_names(hparams: dict[str, Any]) -> dict[str, Any]:
    """Return hyperparameters of a dataset with the names of version 0.1 replaced by the current ones."""
    return {RENAMED.get(name, name): value for name, value in hparams.items()}


def get_settings(checkpoint: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the `class_path` and `init_args` of "model" and, if the checkpoint has it, "data". Nothing is imported.

    The network's arguments do not include `image_shape` and `num_classes`, which are set by the data.
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


def import_class(path: str, allow_import: Sequence[str] = ()) -> None:
    """Import the class that a checkpoint refers to, if it is in this package or in one of `allow_import`."""
    if path.partition(".")[0] in (PACKAGE, *allow_import):
        pydoc.locate(path)


def find_class(checkpoint: dict[str, Any], key: str, allow_import: Sequence[str] = ()) -> Any:
    """Return the class of a checkpoint's "model" or "data".

    Args:
        checkpoint: The checkpoint.
        key: "model" or "data".
        allow_import: Packages, in addition to this one, that the class may be imported from.

    Raises:
        SettingError: The class is not imported yet and is not in one of these packages, or is no network or dataset.
    """
    path = str(checkpoint["classes"].get(key))
    import_class(path, allow_import)
    package = path.partition(".")[0]
    if found := find_subclass(path, BASES[key]):
        return found
    if package == PACKAGE:
        raise SettingError(f"the checkpoint's {key} is {path}, which this version of {PACKAGE} does not have")
    if package == "__main__":
        raise SettingError(f"the checkpoint's {key} is {path}, of a notebook or a script: move the class into a module")
    raise SettingError(f"the checkpoint's {key} is {path}; if you trust it, add --allow_import {package}")


def load_model(checkpoint: dict[str, Any], allow_import: Sequence[str] = ()) -> ImageClassifier:
    """Return the network of a checkpoint with its weights. The dataset is not required.

    Args:
        checkpoint: Contents of the checkpoint.
        allow_import: Packages, in addition to this one, that the network's class may be imported from.

    Raises:
        UserError: The class may not be imported, or the hyperparameters or the weights do not match it.
    """
    check_settings(checkpoint, allow_import)
    model = find_class(checkpoint, "model", allow_import)(**checkpoint["hyper_parameters"])
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model


def load(name: str | os.PathLike[str] = "last", allow_import: Sequence[str] = ()) -> ImageClassifier:
    """Return the network of a run in evaluation mode, on the CPU.

    It has the class names in `hparams.class_names`, and classifies files and images in memory with its method
    `predict`.

    Args:
        name: A run's folder, or its name in `lightning_logs`; a .ckpt file; or last or best of the newest run.
        allow_import: Packages, in addition to this one, that the network's class may be imported from.

    Raises:
        UserError: There is no such checkpoint, or it is damaged, or its class may not be imported.
    """
    return load_model(load_checkpoint(find_checkpoint(str(name))), allow_import).eval()


def load_data(checkpoint: dict[str, Any], allow_import: Sequence[str] = ()) -> ImageDataModule:
    """Return the data module of a checkpoint. No images are read or downloaded.

    Args:
        checkpoint: Contents of the checkpoint.
        allow_import: Packages, in addition to this one, that the data module's class may be imported from.

    Raises:
        UserError: The class may not be imported, or the hyperparameters do not match it.
    """
    data_class = find_class(checkpoint, "data", allow_import)
    try:
        return data_class(**checkpoint[HPARAMS["data"]])
    except UserError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"the settings in the checkpoint do not fit {data_class.__name__}: {first_line(error)}"
        ) from error


def check_settings(checkpoint: dict[str, Any], allow_import: Sequence[str] = (), check_data: bool = False) -> None:
    """Check that the settings in a checkpoint describe a network with its weights. No memory is allocated for it.

    Hyperparameters that the network has gained since the checkpoint was written are added to it.

    Args:
        checkpoint: Contents of the checkpoint.
        allow_import: Packages, in addition to this one, that the classes may be imported from.
        check_data: Whether to check also that the images of the data have the shape that the network takes.

    Raises:
        UserError: The class may not be imported, or the hyperparameters or the weights do not match it.
    """
    model_class = find_class(checkpoint, "model", allow_import)
    hparams = checkpoint["hyper_parameters"] = model_class.update_hparams(checkpoint["hyper_parameters"])
    check_stored_network(model_class, hparams, checkpoint["state_dict"])
    if check_data and "data" in checkpoint["classes"]:
        shape = tuple(hparams.get("image_shape", ()))
        with contextlib.suppress(UserError):  # the folder of the data may have moved; an option can set the new one
            shape = tuple(load_data(checkpoint, allow_import).image_shape)
        if "image_shape" in hparams and shape != tuple(hparams["image_shape"]):
            raise UserError(f"the checkpoint's data has images {shape}, its network takes {hparams['image_shape']}")
