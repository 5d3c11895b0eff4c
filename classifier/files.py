"""Atomic file writes, and zip files whose records are checked when they are read."""

import contextlib
import io
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from classifier.errors import UserError, first_line

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
    with contextlib.suppress(OSError):
        for path in list_unfinished(folder):
            if path.stat().st_mtime < newest:
                shutil.rmtree(path, ignore_errors=True)


def list_unfinished(folder: Path) -> list[Path]:
    """Return the hidden folders of `atomic_write` in a folder; none if the folder cannot be listed."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        own = (entry for entry in entries if TEMPORARY_NAME.fullmatch(entry.name))
        return [Path(entry.path) for entry in own if entry.is_dir(follow_symlinks=False)]
    return []


def read_zip(source: str | os.PathLike | IO[bytes]) -> io.BytesIO:
    """Return a copy in memory of a zip file that PyTorch has written, after a check of the CRC of every record.

    PyTorch writes the CRCs but does not check them, and does not read a file exactly as `zipfile` does: a file can be
    built in which the two find different records. The copy is therefore written from the records that were checked.

    Args:
        source: Path of the file, or the file opened for reading.

    Raises:
        OSError: The file cannot be opened.
        UserError: It is not a zip file, or is damaged. The message does not name the file.
    """
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            return read_zip(file)
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(copy, "w") as checked:
            records = archive.infolist()
            # PyTorch compresses nothing and ignores case. Records that share bytes could fill any amount of memory.
            stored = all(record.compress_type == zipfile.ZIP_STORED for record in records)
            distinct = len({record.filename.lower() for record in records}) == len(records)
            if not stored or not distinct or sum(record.file_size for record in records) > source.seek(0, os.SEEK_END):
                raise zipfile.BadZipFile("it has compressed, repeated or overlapping records")
            for record in records:
                checked.writestr(record.filename, archive.read(record))
    except Exception as error:  # zipfile raises many types of errors for damaged files, for example struct.error
        raise UserError(first_line(error)) from error
    copy.seek(0)
    return copy
