"""Save the configuration of a run, and check that it can be read again."""

import datetime
import os
import warnings
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from classifier.errors import SettingError, one_line
from classifier.files import atomic_write

Key = tuple[str | int, ...]  # of a setting, such as ("trainer", "callbacks", 0, "class_path")

PLAIN = (type(None), bool, int, float, str)  # which YAML holds unchanged
# Which jsonargparse can write as well.
WRITABLE = (*PLAIN, list, dict, set, frozenset, datetime.timedelta, os.PathLike, torch.dtype, type)


class SaveConfig(SaveConfigCallback):
    """Writes `config.yaml` atomically to the run's folder.

    Args:
        parser: The parser of the command.
        config: The configuration.

    Raises:
        SettingError: The configuration cannot be written so that it is read again unchanged.
    """

    def __init__(self, parser: LightningArgumentParser, config: Namespace) -> None:
        super().__init__(parser, config, save_to_log_dir=False)
        self.text = render_config(parser, config)  # now, because a run that cannot be repeated must not start

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Save the file, and remove this callback, so that it is not called 6 times per step without effect."""
        self.log_dir = trainer.log_dir or "."  # which all processes have to ask together
        super().setup(trainer, pl_module, stage)
        others = [callback for callback in trainer.callbacks if callback is not self]  # type: ignore[attr-defined]
        trainer.callbacks = others  # type: ignore[attr-defined]

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write `config.yaml`."""
        path = Path(self.log_dir, self.config_filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            unfinished.write_text(self.text, encoding="utf-8")


def update_saved_config(trainer: L.Trainer) -> None:
    """Make a Trainer save its configuration as it is now, after settings in it have changed."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, SaveConfig):
            callback.text = render_config(callback.parser, callback.config)


def render_config(parser: LightningArgumentParser, config: Namespace) -> str:
    """Return a configuration as YAML that the parser reads back as the same configuration.

    An argument of a class that YAML cannot hold, such as a function or a device, is left out if it is the default,
    which the class then supplies again.

    Args:
        parser: The parser of the command.
        config: The configuration.

    Raises:
        SettingError: The YAML does not give the same configuration. The message names the option.
    """
    settings = dict(list_settings(strip_config(config)))
    left_out = {get_argument(key) for key, value in settings.items() if not is_writable(value)}
    for _ in range(2):
        try:
            text = write_yaml(parser, config, left_out)
            again = dict(list_settings(strip_config(parser.parse_string(text))))
        except (ValueError, TypeError, yaml.YAMLError) as error:
            raise SettingError(f"config.yaml cannot hold {format_keys(left_out)}: {one_line(error)}") from error
        missing = object()
        keys = settings.keys() | again.keys()
        differing = {
            get_argument(key) for key in keys if not is_same(settings.get(key, missing), again.get(key, missing))
        }
        if not differing:
            return text
        if not all("init_args" in key for key in differing):
            break  # an option of the program or of the Trainer is always written
        left_out ^= differing  # what is not read as it was written may be a default, and the other way round
    raise SettingError(f"config.yaml cannot hold {format_keys(differing)}: the run could not be repeated or resumed")


def strip_config(config: Namespace) -> Namespace:
    """Return a copy of a configuration without the option `--config` and what jsonargparse notes about files."""
    copy = config.clone(with_meta=False)
    copy.pop("config", None)
    return copy


def list_settings(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Yield the key and the value of every setting in a tree of namespaces, dictionaries and sequences."""
    if isinstance(value, Namespace):
        value = vars(value)
    children = list(value.items() if isinstance(value, dict) else enumerate(value) if is_sequence(value) else ())
    for name, child in children:
        yield from list_settings(child, (*key, name))
    if not children and not isinstance(value, Namespace):  # of arguments, of which a class may have none
        yield key, [] if is_sequence(value) else value


def is_sequence(value: Any) -> bool:
    """Return whether a value is a list or a tuple, between which YAML does not distinguish."""
    return isinstance(value, (list, tuple))


def is_writable(value: Any) -> bool:
    """Return whether jsonargparse can write a value as YAML and read it again."""
    if isinstance(value, Enum):
        return not isinstance(value, str)  # one that is also a string can be the default of any string
    return isinstance(value, WRITABLE)


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are identical, as defaults are, or are written in the same way."""
    return one is other or (is_writable(one) and get_kind(one) is get_kind(other) and repr(one) == repr(other))


def get_kind(value: Any) -> type:
    """Return the type of a value; that of a restricted number, such as a PositiveInt, is the type of the number."""
    return next((kind for kind in (bool, int, float, str) if isinstance(value, kind)), type(value))


def get_argument(key: Key) -> Key:
    """Return the key of the innermost argument of a class that a setting belongs to, or the key itself."""
    inner = [position for position, name in enumerate(key[:-1]) if name == "init_args"]
    return key[: inner[-1] + 2] if inner else key


def write_yaml(parser: LightningArgumentParser, config: Namespace, left_out: set[Key]) -> str:
    """Return a configuration as YAML, without the arguments in `left_out`."""
    config = strip_config(config)
    for key in left_out:
        branch: Any = config
        for name in key[:-1]:
            branch = branch[name]
        del branch[key[-1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values that are restored below
        text = parser.dump(config, skip_unset=False, skip_validation=True)
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    settings = restore_plain(yaml.safe_load(text), config)
    return header + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


def restore_plain(written: Any, value: Any) -> Any:
    """Return what jsonargparse has written of a value, with plain values in their own type.

    For a union of types, jsonargparse writes the first type that accepts the value, such as a dictionary as a string.
    """
    if is_plain(value):
        return value
    if isinstance(written, dict) and isinstance(value, (Namespace, dict)):
        return {name: restore_plain(child, value[name]) for name, child in written.items()}
    if isinstance(written, list) and is_sequence(value):
        return [restore_plain(*pair) for pair in zip(written, value, strict=True)]
    return written


def is_plain(value: Any) -> bool:
    """Return whether YAML can hold a value, or a list or a dictionary of values, unchanged."""
    if isinstance(value, dict):
        return all(type(name) in PLAIN and is_plain(child) for name, child in value.items())
    return all(map(is_plain, value)) if type(value) is list else type(value) in PLAIN


def format_keys(keys: set[Key]) -> str:
    """Return keys as options, such as `--trainer.callbacks.init_args.device`, or "the settings" if there are none."""
    return ", ".join(sorted("--" + ".".join(map(str, key)) for key in keys)) or "the settings"
