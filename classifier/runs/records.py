"""Records of runs: what `results.json` and `config.yaml` in the folder of a run contain."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import yaml

from classifier.errors import UserError, first_line, make_printable, quote_path

# In bytes. An epoch of a network with 1,000 classes takes 30 kB in `results.json`, and `config.yaml` takes 4 kB.
MAX_JSON_SIZE, MAX_YAML_SIZE = 500 * 10**6, 10**6
# PyYAML's loader in C, where it is installed, takes a tenth of the time.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 50
# Settings in `config.yaml` that have no effect on the training of the run.
NEUTRAL_SETTINGS = ("ckpt_path", "allow_import", "config")
# Settings of the Trainer in which the command line differs from Lightning.
COMMAND_DEFAULTS = {
    "trainer.devices": 1,
    "trainer.num_sanity_val_steps": 0,
    "trainer.enable_model_summary": False,
}
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


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON or YAML file. No part of a YAML file can be used twice, as its aliases allow.

    Raises:
        UserError: The file is missing, damaged or too large, or contains no mapping.
    """
    is_json = path.suffix == ".json"
    try:
        if path.stat().st_size > (MAX_JSON_SIZE if is_json else MAX_YAML_SIZE):
            raise ValueError("it is too large")
        text = path.read_text(encoding="utf-8")
        has_alias = (
            not is_json
            and "*" in text
            and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, LOADER))
        )
        if has_alias:
            raise ValueError("it contains an alias")  # a few of them can stand for billions of values
        content = json.loads(text) if is_json else yaml.load(text, LOADER)  # noqa: S506 it is a safe loader
        if not isinstance(content, dict):
            raise ValueError("it contains no settings")
        check_depth(content)
    except OSError as error:
        raise UserError(f"{make_printable(path)} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{make_printable(path)} is damaged: {first_line(error)}") from error
    return content


def check_depth(content: dict[str, Any]) -> None:
    """Check that tables and lists are nested less than `MAX_DEPTH` deep, so that functions can follow them.

    Raises:
        ValueError: They are nested deeper.
    """
    level: list[Any] = [content]
    for _ in range(MAX_DEPTH):
        tables = [item for item in level if isinstance(item, (dict, list))]
        if not tables:
            return
        level = [item for table in tables for item in (table.values() if isinstance(table, dict) else table)]
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


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

    defaults = {f"trainer.{name}": value.default for name, value in signature(L.Trainer.__init__).parameters.items()}
    ignored = {**defaults, **COMMAND_DEFAULTS}
    settings = dict(flatten({name: value for name, value in config.items() if name not in NEUTRAL_SETTINGS}))
    return {
        name: value
        for name, value in settings.items()
        if value is not None
        and name not in ("model.class_path", "data.class_path")
        and not (name in ignored and (value == ignored[name] or value == COMMAND_DEFAULTS.get(name)))
    }


def flatten(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values in nested tables, with names that are joined by dots."""
    for key, value in config.items():
        name = prefix.removesuffix(".") if key == "init_args" else f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value
