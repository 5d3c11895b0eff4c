"""What TensorBoard shows next to each other: the splits in one chart, and the settings in the HPARAMS tab."""

import inspect
from typing import Any

import lightning as L

from classifier.callbacks.epoch_metrics import SPLITS
from classifier.hparams import LIMITS_FROM_DATA, to_builtin_types
from classifier.seeding import get_seed

FROM_DATA = {"image_shape", "num_classes", *LIMITS_FROM_DATA}  # hyperparameters that are no choices
ALWAYS_SHOWN = ("lr", "momentum", "weight_decay", "batch_size")


def write_layout(writer: Any, trainer: L.Trainer, module: L.LightningModule) -> None:
    """Write a chart that overlays the splits, and the settings for the HPARAMS tab.

    TensorBoard sorts the settings: first those in which the runs differ, then the others, by their names. It takes all
    scalars as metrics, because no run declares which it has: it would use the declaration of any one run for all runs.
    """
    from torch.utils.tensorboard.summary import hparams

    charts = {name: ["Multiline", [f"{name}/{split}" for split in SPLITS]] for name in ("loss", "accuracy")}
    writer.add_custom_scalars({"training": charts})
    _, start, end = hparams(list_settings(trainer, module), {})  # the first one is the declaration
    for summary in (start, end):
        writer.file_writer.add_summary(summary)


def list_settings(trainer: L.Trainer, module: L.LightningModule) -> dict[str, bool | int | float | str]:
    """Return the most important settings, and all others that differ from their default.

    Among all of some thirty settings, sorted by name, those that matter would be hard to find.
    """
    settings: dict[str, Any] = {"model": type(module).__name__}
    data = trainer.datamodule
    if data is not None:
        settings["data"] = type(data).__name__
    for part in (module, data):
        parameters = inspect.signature(type(part)).parameters if part is not None else {}
        for name, value in dict(getattr(part, "hparams", {})).items():
            default = to_builtin_types(parameters[name].default) if name in parameters else None
            if name not in FROM_DATA and (name in ALWAYS_SHOWN or value != default):
                settings[name] = value
    settings["seed"] = get_seed()
    if (trainer.max_epochs or -1) > 0:
        settings["max_epochs"] = trainer.max_epochs
    return {
        name: value if isinstance(value, (bool, int, float, str)) else str(value)
        for name, value in settings.items()
        if value is not None
    }
