"""Atomic file writes, and files that are checked when they are read."""

import contextlib
import io
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import yaml

from classifier.errors import UserError, first_line, make_printable

PREFIX = ".unfinished-"
TEMPORARY_NAME = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")
# In bytes. An epoch of a network with 1,000 classes takes 30 kB in `results.json`, and `config.yaml` takes 4 kB.
MAX_JSON_SIZE, MAX_YAML_SIZE = 500 * 10**6, 10**6
# PyYAML's loader in C, where it is installed, takes a tenth of the time.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 50
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
