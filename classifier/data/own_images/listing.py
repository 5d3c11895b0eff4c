"""Find image files and class folders on disk, and keep account of the files that are not used."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeAlias

from classifier.data.image_files.formats import describe_missing_decoder, get_extensions, get_formats
from classifier.errors import UserError, make_printable

FolderId: TypeAlias = tuple[int, int]  # device and inode
NUM_NAMES = 3  # of unused files that are printed for each reason
HIDDEN, NO_IMAGE, DANGLING, REPEATED = "hidden", "no image format", "dangling link", "folder that is already read"
NO_EXTENSION = "no extension; images need one, such as .jpg"


@dataclass
class UnusedFiles:
    """Files and folders that were found and are not used, by the reason.

    Args:
        names: Names of the files for each reason.
    """

    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, *names: str) -> None:
        """Add files that are not used for a reason."""
        if names:
            self.names.setdefault(reason, []).extend(names)

    def merge(self, other: "UnusedFiles") -> None:
        """Add all files of another account."""
        for reason, names in other.names.items():
            self.add(reason, *names)

    def count_undecodable(self) -> int:
        """Return the number of image files in formats that cannot be read."""
        return sum(len(names) for names in self.names.values() if describe_missing_decoder(names[0]))

    def describe(self, root: str = "") -> str:
        """Return the number, the reason and the first names of all unused files, or an empty text.

        Args:
            root: Folder that the names are shown relative to.
        """
        prefix, parts = os.path.join(root, ""), []  # noqa: PTH118 ends with a slash
        for reason, names in self.names.items():
            shown = ", ".join(make_printable(name.removeprefix(prefix)) for name in names[:NUM_NAMES])
            more = ", ..." if len(names) > NUM_NAMES else ""
            parts.append(f"{len(names):,} ({reason}: {shown}{more})")
        return f"not used: {', '.join(parts)}" if parts else ""


@dataclass
class LabelledFiles:
    """Image files with one entry per image in each list.

    Args:
        paths: The files.
        labels: Class indices.
        keys: What decides the split of an image that has none: its name in the dataset, or the name of its group.
        splits: "train", "val", "test", or "" for an image without a split.
        unused: Files that were found and are not used.
        lines: Lines of the table on which the images are listed, or an empty list if there is no table.
    """

    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    unused: UnusedFiles = field(default_factory=UnusedFiles)
    lines: list[int] = field(default_factory=list)


def list_subfolders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the visible folders in a folder; none if the folder does not exist.

    Raises:
        UserError: The folder cannot be listed.
    """
    if not folder.is_dir():
        return ()
    try:
        with os.scandir(folder) as entries:  # Path.is_dir would need a system call per file
            return tuple(sorted(entry.name for entry in entries if entry.name[0] != "." and _is_folder(entry)))
    except OSError as error:
        raise_not_listed(error)


def raise_not_listed(error: OSError) -> NoReturn:
    """Raise a UserError about a folder that cannot be listed."""
    raise UserError(f"{make_printable(error.filename)} cannot be listed: {error.strerror}") from error


def has_image_extension(name: str) -> bool:
    """Return whether a file name has the extension of a format that can be read."""
    return os.path.splitext(name)[1].lower() in get_extensions()  # noqa: PTH122 a Path costs 5 times the time


def identify(folder: str | os.PathLike[str]) -> FolderId:
    """Return what identifies a folder on this machine, however it is reached.

    Raises:
        UserError: The folder cannot be accessed.
    """
    try:
        status = os.stat(folder)  # noqa: PTH116 a Path costs 5 times the time and memory
    except OSError as error:
        raise_not_listed(error)
    return status.st_dev, status.st_ino


def list_image_files(
    paths: Iterable[str | os.PathLike[str]], visited: set[FolderId] | None = None, may_be_empty: bool = False
) -> tuple[list[str], UnusedFiles]:
    """Return the given files and, recursively, the image files in the given folders.

    A given file is returned regardless of its extension. In folders, hidden files and folders, and files without the
    extension of a format that can be read, are not used. Links to folders are followed; a folder that can be
    reached in several ways from one of the given folders is read once.

    Args:
        paths: Files and folders.
        visited: Subfolders that are not read, because they are read elsewhere. All folders that are read are added to
            it. By default, each of the given folders is read on its own.
        may_be_empty: Whether a folder may contain no image file.

    Returns:
        The files, sorted within each folder, with those in subfolders last; and the files that are not used.

    Raises:
        UserError: A path does not exist, a folder cannot be listed, or a folder contains no image file although it
            must.
    """
    files: list[str] = []
    unused = UnusedFiles()
    for given in paths:
        path = os.fspath(given)
        if not Path(path).is_dir():
            if not Path(path).exists():
                raise UserError(f"{make_printable(path)}: no such file or folder")
            files.append(path)
            continue
        unused_here = UnusedFiles()
        found = list(_walk(path, unused_here, set() if visited is None else visited))
        if not found and not may_be_empty:
            formats = ", ".join(get_formats())
            reasons = unused_here.describe(path)
            raise UserError(f"{make_printable(path)} contains no image files ({formats}); {reasons}".rstrip("; "))
        files += found
        unused.merge(unused_here)
    return files, unused


def list_direct_files(folder: Path) -> list[str]:
    """Return the sorted paths of the files and of the hidden folders directly in a folder.

    Raises:
        UserError: The folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.name.startswith(".") or not _is_folder(entry))
    except OSError as error:
        raise_not_listed(error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _walk(root: str, unused: UnusedFiles, visited: set[FolderId]) -> Iterator[str]:
    """Yield the image files in a folder and its subfolders that are not visited, and add all others to `unused`."""
    pending = [root]
    while pending:
        folder = pending.pop()
        identity = identify(folder)
        if folder != root and identity in visited:
            unused.add(REPEATED, folder)
            continue
        visited.add(identity)
        try:
            with os.scandir(folder) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise_not_listed(error)
        subfolders = []
        for entry in ordered:
            if entry.name.startswith("."):
                unused.add(HIDDEN, entry.path)
            elif _is_folder(entry):
                subfolders.append(entry.path)
            elif has_image_extension(entry.name):
                yield entry.path
            else:
                unused.add(_explain(entry), entry.path)
        pending += reversed(subfolders)


def _explain(entry: os.DirEntry[str]) -> str:
    """Return why a file without the extension of a format that can be read is not used."""
    if entry.is_symlink() and not Path(entry.path).exists():
        return DANGLING
    has_extension = os.path.splitext(entry.name)[1] != ""  # noqa: PTH122 a Path costs 5 times the time
    return describe_missing_decoder(entry.name) or (NO_IMAGE if has_extension else NO_EXTENSION)
