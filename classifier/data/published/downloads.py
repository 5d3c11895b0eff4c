"""Temporary folders for downloads, of which nothing remains if the download does not complete."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = ".download-"
TEMPORARY_NAME = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")
LOCK = ".lock"  # in a temporary folder; held by the process that downloads to it


@contextlib.contextmanager
def make_download_folder(root: Path, destination: Path) -> Iterator[Path]:
    """Yield an empty temporary folder, from which complete files are moved to their destination.

    When the context ends, in whichever way, the temporary folder is removed, and so are those of `root`, `destination`
    and their parents that did not exist before and are empty. A process that is killed leaves its temporary folder
    behind, which the next download to the same root removes.

    Args:
        root: Folder in which the temporary folder is created.
        destination: Folder below `root` that the caller creates and moves the files to.

    Raises:
        OSError: A folder cannot be created.
    """
    created = [folder for folder in (destination, *destination.parents) if not folder.exists()]
    try:
        root.mkdir(parents=True, exist_ok=True)
        remove_abandoned(root)
        with (
            tempfile.TemporaryDirectory(dir=root, prefix=PREFIX) as unfinished,
            FileLock(Path(unfinished, LOCK), timeout=0),
        ):
            yield Path(unfinished)
    finally:
        for folder in created:
            with contextlib.suppress(OSError):  # it is not empty, or was not created
                folder.rmdir()


def remove_abandoned(root: Path) -> None:
    """Remove the temporary folders in `root` that a process left when it was killed; no process holds their locks."""
    for folder in list(root.iterdir()):
        lock = folder / LOCK
        if TEMPORARY_NAME.fullmatch(folder.name) and not folder.is_symlink() and lock.is_file():
            with contextlib.suppress(Timeout, OSError), FileLock(lock, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
