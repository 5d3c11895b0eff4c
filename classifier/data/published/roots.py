"""Check the folder that `--data.root` names: whether it exists, and whether it holds images of the user's own."""

import contextlib
import itertools
import shlex
from pathlib import Path

from classifier.data.image_files.formats import HEIF_EXTENSIONS
from classifier.data.own_images.listing import has_image_extension, list_direct_files, list_subfolders
from classifier.data.splits import find_split
from classifier.errors import UserError, make_printable

TABLES = (".csv", ".tsv")


def describe_missing_folder(folder: Path) -> str:
    """Return that there is no such folder, and where a relative path was looked for."""
    place = "" if folder.is_absolute() else f" in {make_printable(Path.cwd())}"
    return f"there is no folder {make_printable(folder)}{place}"


def refuse_own_images(root: Path) -> None:
    """Refuse to download to a place that is, or contains, a dataset of the user's own.

    A folder contains one if at least two of its visible subfolders contain image files directly, or if a folder with
    the name of a split, such as `train`, has such subfolders.

    Args:
        root: Folder to download to; it may be missing.

    Raises:
        UserError: The folder contains class folders, or is a file. The message names the options that read it.
    """
    shown = make_printable(root)
    if root.is_file():
        if root.suffix.lower() in TABLES:
            options = f"--data ImageTable --data.file {shlex.quote(shown)}"
            raise UserError(f"{shown} is a table, not a folder: replace --data.root with {options}")
        raise UserError(f"{shown} is a file, not a folder: set --data.root to a folder")
    splits = (name for name in _list_subfolders(root) if find_split(name))
    if has_class_folders(root) or any(has_class_folders(root / name) for name in splits):
        raise UserError(
            f"{shown} contains folders of images: add --data ImageFolder to use them, or set --data.root to another "
            "folder for files to download"
        )


def has_class_folders(folder: Path) -> bool:
    """Return whether at least two visible subfolders of a folder contain image files directly."""
    found = (name for name in _list_subfolders(folder) if _contains_images(folder / name))
    return len(list(itertools.islice(found, 2))) == 2


def _list_subfolders(folder: Path) -> tuple[str, ...]:
    """Return the names of the visible subfolders of a folder; none if it cannot be listed."""
    with contextlib.suppress(UserError):
        return list_subfolders(folder)
    return ()


def _contains_images(folder: Path) -> bool:
    """Return whether a folder contains image files directly; photographs in HEIC count without a decoder."""
    with contextlib.suppress(UserError):
        files = list_direct_files(folder)
        return any(has_image_extension(file) or file.lower().endswith(HEIF_EXTENSIONS) for file in files)
    return False
