"""Atomic file writes."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".unfinished-"
TEMPORARY_NAME = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")
ABANDONED = 24 * 3600  # seconds after which nothing is assumed to be written any more


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, then flush that file to disk and rename it to `path`.

    A crash at any time leaves either the old file or the complete new one. The temporary file has the same name as
    `path`, and is in a hidden folder next to it. Hidden folders that a crash left more than a day ago are removed.

    Args:
        path: The file to write; its folder must exist.

    Raises:
        OSError: The disk is full or cannot be written to.
    """
    remove_unfinished(path.parent, ABANDONED)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=PREFIX) as folder:
        unfinished = Path(folder, path.name)
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)


def remove_unfinished(folder: Path, seconds: float = 0) -> None:
    """Remove the hidden folders that `atomic_write` left in a folder when its process was killed.

    Args:
        folder: Folder that files were written to.
        seconds: Age of the hidden folders to remove, at least 0. With 0, no process may be writing to the folder.
    """
    newest = time.time() - seconds if seconds else float("inf")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            is_ours = TEMPORARY_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            if is_ours and entry.stat().st_mtime < newest:
                shutil.rmtree(entry.path, ignore_errors=True)
