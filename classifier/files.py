"""Atomic file writes."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, then flush that file to disk and rename it to `path`.

    A crash at any time leaves either the old file or the complete new one. The temporary file has the same name as
    `path`, and is in a hidden folder next to it.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        OSError: The disk is full or cannot be written to.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as folder:
        unfinished = Path(folder, path.name)
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
