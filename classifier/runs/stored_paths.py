"""Paths in the settings of a checkpoint, which may come from someone else."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from classifier.errors import make_printable


def list_outside_paths(settings: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield every path outside the current folder in the settings of a checkpoint.

    Links are not followed, because a link in the current folder was made by its owner.

    Args:
        settings: The `init_args` of "model" and "data", as `get_settings` returns them.

    Yields:
        "model" or "data", the name of the argument, and the path.
    """
    for key, spec in settings.items():
        for name, value in spec["init_args"].items():
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str) and is_outside(text):
                    yield key, name, text


def is_outside(path: str) -> bool:
    """Return whether a path is outside the current folder, or a URL; a text without a separator is not a path."""
    if path.startswith("~") or "://" in path or path == os.pardir:
        return True
    return os.sep in path and Path(os.path.relpath(path)).parts[0] == os.pardir


def describe_outside_path(key: str, name: str, path: str) -> str:
    """Return the line that is printed before anything is read from such a path."""
    return f"the checkpoint sets {key}.{name} to {make_printable(path)}, which is outside the current folder"
