"""All records of a run, and how those of two runs differ."""

import json
import logging
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml

from classifier.callbacks.loop_state import find_position
from classifier.models.checks import DEFAULTS_FROM_DATA
from helpers.runs import read_events

TIMED = ("seconds", "speed/images_per_second")  # keys of results.json and tags that differ in every run
EPOCH_LINE = re.compile(r"^(epoch \d+)\S*  (.+)  [\d.]+ s$", re.MULTILINE)


def read_records(run_dir: Path) -> dict[str, Any]:
    """Return the records of a run that a second, uninterrupted run would have, too.

    Returns:
        The checkpoints by name, results.json, config.yaml, hparams.yaml, and the TensorBoard scalars as lists of
        (step, value), all without durations.
    """
    records: dict[str, Any] = {path.name: drop_times(load(path)) for path in sorted(run_dir.glob("checkpoints/*.ckpt"))}
    for checkpoint in records.values():
        # Lightning counts differently in a resumed run, and it reads only what `find_position` does.
        checkpoint["loops"] = find_position(checkpoint)._asdict()
    records |= {name: drop_times(load(run_dir / name)) for name in ("results.json", "config.yaml", "hparams.yaml")}
    for name in ("max_steps", "max_time"):  # a run that is done is refused before its new limits are saved
        records["config.yaml"]["trainer"].pop(name)
    config = records["config.yaml"]["model"]["init_args"]
    for name in DEFAULTS_FROM_DATA:  # a resumed run takes them from the checkpoint
        config[name] = None
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it reports every resumption
    events = read_events(run_dir)
    for tag in events.Tags()["scalars"]:
        if tag not in TIMED:
            records[f"TensorBoard {tag}"] = [(event.step, event.value) for event in events.Scalars(tag)]
    return records


def load(path: Path) -> Any:
    """Return the content of a checkpoint, a JSON file or a YAML file.

    Raises:
        ValueError: A record of the checkpoint differs from its checksum.
    """
    if path.suffix == ".ckpt":
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"checksum of {damaged}")
        return torch.load(path, weights_only=True)
    content = (json.loads if path.suffix == ".json" else yaml.safe_load)(path.read_text())
    if not content:
        raise ValueError("empty")
    return content


def drop_times(value: Any) -> Any:
    """Return a nested value without durations, the folder of the run, and the state of a Timer."""
    if isinstance(value, dict):
        return {drop_times(key): drop_times(part) for key, part in value.items() if key not in (*TIMED, "Timer")}
    if isinstance(value, (list, tuple)):
        return [drop_times(part) for part in value]
    return re.sub(r"[^ ]*lightning_logs/[\w.-]+", "RUN", value) if isinstance(value, str) else value


def compare(expected: Any, actual: Any, name: str = "") -> Iterator[str]:
    """Yield one line per difference between two nested values; tensors and numbers must be equal bit for bit."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in {**expected, **actual}:
            if key not in actual or key not in expected:
                yield f"{name}/{key} is {'missing' if key not in actual else 'too much'}"
            else:
                yield from compare(expected[key], actual[key], f"{name}/{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for i, pair in enumerate(zip(expected, actual, strict=True)):
            yield from compare(*pair, f"{name}[{i}]")
    elif isinstance(expected, torch.Tensor) and isinstance(actual, torch.Tensor):
        if not torch.equal(expected, actual):
            yield f"{name} is another tensor"
    elif expected != actual:
        yield f"{name} is {str(actual)[:200]}, not {str(expected)[:200]}"


def read_epoch_lines(text: str) -> list[tuple[str, str]]:
    """Return the lines of all complete epochs in the output of a run: "epoch 3" and its metrics."""
    return EPOCH_LINE.findall(text)


def find_damage(folder: Path) -> Iterator[str]:
    """Yield one line per file of a run that is only partly written, and per temporary folder that is left."""
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".unfinished-"):
            yield f"{path.name} is left"
        elif path.suffix in (".ckpt", ".json", ".yaml") and not path.parent.name.startswith(".unfinished-"):
            try:
                load(path)
            except Exception as error:  # whatever is wrong with it
                yield f"{path.name} is damaged: {type(error).__name__} {str(error)[:100]}"
