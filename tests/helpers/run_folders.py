"""Folders of runs as training leaves them, without training."""

import json
from pathlib import Path
from typing import Any

import yaml


def write_run(folder: Path, epochs: list[dict[str, Any]] | None = None, seed: int = 0, **settings: Any) -> Path:
    """Write `config.yaml` and, if there are epochs, `results.json` of a run, and return its folder.

    Args:
        folder: Folder of the run, which is created.
        epochs: Metrics of every epoch, without its number.
        seed: Seed of the run.
        **settings: Settings by names such as `model__lr`.
    """
    config: dict[str, Any] = {
        "seed_everything": seed,
        "trainer": {"max_epochs": 2},
        "model": {"class_path": "classifier.MLP", "init_args": {"lr": 0.1}},
        "data": {"class_path": "classifier.Digits", "init_args": {"batch_size": 64}},
        "threads": 1,
    }
    for name, value in settings.items():
        table, _, key = name.partition("__")
        if not key:
            config[table] = value
        elif key == "class_path" or table == "trainer":
            config[table][key] = value
        else:
            config[table]["init_args"][key] = value
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if epochs is not None:
        numbered = [{"epoch": number, **epoch} for number, epoch in enumerate(epochs, start=1)]
        (folder / "results.json").write_text(json.dumps({"seed": seed, "model": "MLP", "epochs": numbered}))
    return folder
