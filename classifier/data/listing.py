"""Find image files and class folders on disk."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from PIL import Image

from classifier.data.decoding import get_formats
from classifier.errors import UserError, make_printable


def list_subfolders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the visible folders in a folder; none if the folder does not exist.

    Raises:
        UserError: The folder cannot be listed.
    """
    if not folder.is_dir():
        return ()
    try:
        return tuple(sorted(path.name for path in folder.iterdir() if path.name[0] != "." and path.is_dir()))
    except OSError as error:
        raise_not_listed(error)


def raise_not_listed(error: OSError) -> NoReturn:
    """Raise a UserError about a folder that cannot be listed."""
    raise UserError(f"{make_printable(error.filename)} cannot be listed: {error.strerror}") from error


def list_image_files(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return the given files and, recursively and sorted, the image files in the given folders.

    A given file is returned regardless of its extension. In folders, hidden files and folders, and files without the
    extension of a format in `decoding.FORMATS`, are skipped, because folders of images often contain text files as
    well. Links to folders within a given folder are not followed.

    Args:
        paths: Files and folders.

    Raises:
        UserError: A path does not exist, a folder cannot be listed, or a folder contains no image file.
    """
    formats = get_formats()
    extensions = {extension for extension, name in Image.EXTENSION.items() if name in formats}
    files: list[str] = []
    for given in paths:
        path = os.fspath(given)
        if not Path(path).is_dir():
            if not Path(path).exists():
                raise UserError(f"{make_printable(path)}: no such file or folder")
            files.append(path)
            continue
        found = []
        for folder, subfolders, names in os.walk(path, onerror=raise_not_listed):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            found += [
                os.path.join(folder, name)  # noqa: PTH118 a Path costs 5 times the time and memory
                for name in sorted(names)
                if not name.startswith(".") and os.path.splitext(name)[1].lower() in extensions  # noqa: PTH122
            ]
        if not found:
            raise UserError(f"{make_printable(path)} contains no image files ({', '.join(formats)})")
        files += found
    return files
