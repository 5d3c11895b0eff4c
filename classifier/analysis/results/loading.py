"""Load the network and the data of a run from its checkpoint, with everything checked before it is evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser

from classifier.data.base import AUGMENTATIONS, ImageDataModule
from classifier.data.own_images.file_base import FileDataModule
from classifier.errors import SettingError, UserError, make_printable, require
from classifier.models.base import ImageClassifier
from classifier.models.checks import check_data
from classifier.runs.checkpoints import HPARAMS, check_settings, find_class, get_settings, load_checkpoint, load_data
from classifier.runs.records import RunRecord, find_record, find_run_folder
from classifier.runs.stored_paths import describe_outside_path, list_outside_paths

# Settings of a dataset that cannot be replaced, and why.
FIXED = {
    "val_split": "which images were held out is stored in the checkpoint",
    "batch_size": "it has no effect on an evaluation; test_batch_size is the number of images per evaluation step",
    **dict.fromkeys(("drop_last", *AUGMENTATIONS), "it has no effect on an evaluation: leave it out"),
}


@dataclass(frozen=True)
class LoadedRun:
    """A run that can be evaluated.

    Args:
        name: Name of the run, such as "version_3", or the path of a checkpoint that is not in a run's folder.
        checkpoint: The checkpoint file.
        record: Record of the training, or None if the checkpoint is not in a run's folder.
        model: The network; the Trainer loads its weights.
        data: The dataset. No images have been read.
        settings: Settings of network, data and Trainer, such as {"model.lr": 0.1}.
        notes: Lines to print before the evaluation.
    """

    name: str
    checkpoint: Path
    record: RunRecord | None
    model: ImageClassifier
    data: ImageDataModule
    settings: dict[str, Any]
    notes: tuple[str, ...]


def load_run(
    path: Path,
    options: Mapping[str, Any],
    allow_import: Sequence[str] = (),
    known_data: Sequence[ImageDataModule] = (),
) -> LoadedRun:
    """Build the network and the dataset of a checkpoint. No images are read or downloaded.

    Args:
        path: The checkpoint file.
        options: Settings of the dataset that replace those in the checkpoint, such as {"root": "moved"}.
        allow_import: Packages, in addition to this one, that the checkpoint's classes may be imported from.
        known_data: Datasets; one with the same settings is used again, so that its images are read once.

    Raises:
        UserError: The checkpoint, the record of the run or an option cannot be used, or there are no images to
            evaluate.
    """
    checkpoint = load_checkpoint(path)
    require("data" in checkpoint["classes"], f"{make_printable(path)} names no dataset, so it cannot be evaluated")
    check_settings(checkpoint, allow_import)
    settings = get_settings(checkpoint)
    outside = [found for found in list_outside_paths(settings) if found[0] == "model" or found[1] not in options]
    model = find_class(checkpoint, "model", allow_import)(**checkpoint["hyper_parameters"])
    replace_data_settings(checkpoint, options, allow_import)
    data = load_data(checkpoint, allow_import)
    data = next((other for other in known_data if type(other) is type(data) and other.hparams == data.hparams), data)
    check_data(model, data)
    if "test" not in data.splits and not data.has_validation_images:
        raise UserError(f"{type(data).__name__} has neither test nor validation images to evaluate")
    notes = tuple(describe_outside_path(*found) for found in outside)
    record = find_record(path)
    name = record.name if record else find_run_name(path)
    own = {f"{key}.{name}": value for key, spec in settings.items() for name, value in spec["init_args"].items()}
    merged = (record.settings if record else {}) or {name: value for name, value in own.items() if value is not None}
    merged = merged | {f"data.{name}": value for name, value in options.items()}
    return LoadedRun(name, path, record, model, data, merged, notes)


def find_run_name(path: Path) -> str:
    """Return the name of a checkpoint without a record: that of its run's folder, or else its path."""
    folder = find_run_folder(path)
    return folder.resolve().name if folder is not None else str(path)


def replace_data_settings(checkpoint: dict[str, Any], options: Mapping[str, Any], allow_import: Sequence[str]) -> None:
    """Replace settings of the dataset in a checkpoint, as the options of `test` do.

    Args:
        checkpoint: Contents of the checkpoint; the settings are changed in place.
        options: The new settings.
        allow_import: Packages, in addition to this one, that the dataset's class may be imported from.

    Raises:
        SettingError: The dataset has no such setting, or it has no effect, or the value has another type.
    """
    stored, data_class = checkpoint[HPARAMS["data"]], find_class(checkpoint, "data", allow_import)
    for name in options:
        if name in FIXED:
            raise SettingError(f"--data.{name}: {FIXED[name]}")
    if "file" in options:
        stored.pop("root", None)  # paths in another table are relative to that table
    stored.update(check_options(data_class, options))
    if issubclass(data_class, FileDataModule) and stored.get("classes") is None:
        stored["classes"] = checkpoint["hyper_parameters"].get("class_names")  # images of some classes are enough


def check_options(data_class: type[ImageDataModule], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a dataset, converted to the types of its arguments.

    Raises:
        SettingError: The dataset has no such argument, or the value has another type.
    """
    parser = ArgumentParser(exit_on_error=False)
    added = parser.add_class_arguments(data_class, fail_untyped=False, sub_configs=False)
    converted: dict[str, Any] = {}
    for name in options:
        known = ", ".join(added)
        require(name in added, f"--data.{name}: {data_class.__name__} has no such setting; it has {known}")
        try:
            converted[name] = parser.parse_object({name: options[name]}, defaults=False, _skip_required=True)[name]
        except ArgumentError as error:
            reason = str(error).strip().splitlines()[-1].strip(" -")
            raise SettingError(f"--data.{name}: {reason}") from error
    return converted
