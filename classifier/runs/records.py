"""Records of runs: what `results.json` and `config.yaml` in the folder of a run contain."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from classifier.errors import UserError, make_printable, quote_path
from classifier.files import read_mapping

# Settings in `config.yaml` that have no effect on the training of the run.
NEUTRAL_SETTINGS = ("ckpt_path", "allow_import", "config")
# Defaults of the Trainer on the command line that differ from Lightning's.
COMMAND_DEFAULTS = {"devices": 1, "num_sanity_val_steps": 0, "enable_model_summary": False}
# Parts of `results.json` and the type of each.
COLUMNS: dict[str, type] = {
    "epochs": list,
    "seed": int,
    "device": str,
    "processes": int,
    "threads": int,
    "machine": str,
    "versions": dict,
}


@dataclass(frozen=True)
class RunRecord:
    """What is known of the training of a run; a value that an older version did not record is None.

    Args:
        name: Name of the run, such as "version_3".
        folder: Folder of the run.
        epochs: Metrics of every epoch, as in `results.json`; the values are numbers, None, or dicts of them.
        seed: Seed of the run.
        device: Type of the device, such as "cpu".
        processes: Number of processes.
        threads: CPU threads per process.
        machine: Operating system and processor.
        versions: Versions of Python and of packages.
        settings: Settings in `config.yaml`, such as {"model.lr": 0.1}; those without a value are left out. Empty
            without this file.
        reproduce: Command that trains the run again, or None without `config.yaml`.
    """

    name: str
    folder: Path
    epochs: list[dict[str, Any]]
    seed: int | None
    device: str | None
    processes: int | None
    threads: int | None
    machine: str | None
    versions: dict[str, str]
    settings: dict[str, Any]
    reproduce: str | None


def read_record(folder: Path, program: str = "python -m classifier") -> RunRecord:
    """Return the record of a run.

    Args:
        folder: Folder of the run.
        program: The program's name in the command that trains the run again.

    Raises:
        UserError: `results.json` is missing, or one of the two files is damaged.
    """
    results = read_mapping(folder / "results.json")
    config = read_mapping(folder / "config.yaml") if (folder / "config.yaml").is_file() else {}
    columns = {name: take(results, name, kind, folder / "results.json") for name, kind in COLUMNS.items()}
    columns["versions"] = {str(name): str(value) for name, value in (columns["versions"] or {}).items()}
    columns["epochs"] = columns["epochs"] or []
    if not all(isinstance(epoch, dict) and isinstance(epoch.get("epoch"), int) for epoch in columns["epochs"]):
        raise UserError(f"{make_printable(folder / 'results.json')} is damaged: an epoch has no number")
    command = f"{program} fit --config {quote_path(folder / 'config.yaml')}" if config else None
    return RunRecord(folder.resolve().name, folder, settings=flatten_settings(config), reproduce=command, **columns)


def find_record(checkpoint: Path) -> RunRecord | None:
    """Return the record of the run that a checkpoint file belongs to, or None if it is not in a run's folder.

    Raises:
        UserError: A file of the record is damaged.
    """
    folder = find_run_folder(checkpoint)
    return read_record(folder) if folder is not None and (folder / "results.json").is_file() else None


def find_run_folder(checkpoint: Path) -> Path | None:
    """Return the folder of the run that a checkpoint file belongs to, or None if it is not in one."""
    folder = Path(os.path.relpath(checkpoint)).parent
    if folder.absolute().name != "checkpoints":
        return None
    return Path(os.path.relpath(folder / os.pardir))


def take(results: dict[str, Any], name: str, kind: type, path: Path) -> Any:
    """Return a value of a record, or None if there is none.

    Raises:
        UserError: The value has another type.
    """
    value = results.get(name)
    if value is not None and not isinstance(value, kind):
        raise UserError(f"{make_printable(path)} is damaged: {name} is not a {kind.__name__}")
    return value


def flatten_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a `config.yaml` under names such as "model.lr", without those that have no effect.

    The classes of network and dataset, values that are null, and the Trainer's defaults are left out.
    """
    import lightning as L  # takes seconds, and the table of runs does without

    defaults = {name: value.default for name, value in signature(L.Trainer.__init__).parameters.items()}
    ignored = {f"trainer.{name}": value for name, value in {**defaults, **COMMAND_DEFAULTS}.items()}
    settings = dict(flatten({name: value for name, value in config.items() if name not in NEUTRAL_SETTINGS}))
    return {
        name: value
        for name, value in settings.items()
        if value not in (None, ignored.get(name)) and name not in ("model.class_path", "data.class_path")
    }


def flatten(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values in nested tables, with names that are joined by dots."""
    for key, value in config.items():
        name = prefix.removesuffix(".") if key == "init_args" else f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value
