"""Disk cache of decoded images in the user's cache folder."""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import platformdirs
from torch import Tensor

from classifier.data.own_images.cache_entries import OVERHEAD, Contents, read_entry
from classifier.data.own_images.new_entry import NewEntry, remove_abandoned, report_uncached
from classifier.errors import make_printable

OWN_NAME = re.compile(r"images-[0-9a-f]{32}\.bin")
# Up to version 0.2, files in `.cache` under the root of the images.
OLD_NAME = re.compile(r"\d+x\d+-[0-9a-f]{32}\.(npz|npy|checked)")


class Entry(NamedTuple):
    """A file of the cache, its size in bytes, and the time of its last use in nanoseconds."""

    path: str
    size: int
    used: int


def find_cache_folder() -> Path:
    """Return the folder of the cache under the user's cache folder, such as `~/.cache/classifier/images`."""
    return Path(platformdirs.user_cache_dir("classifier", appauthor=False), "images")


class DiskCache:
    """Decoded images on disk, in one file per set of image files, of a limited total size.

    Several processes may use one cache at the same time: entries are written atomically, an entry that is deleted
    while it is read stays readable on POSIX, and files that have disappeared are ignored. Only regular files that are
    named as the cache names its own are read or deleted.

    Args:
        folder: Folder of the entries; None uses `find_cache_folder`. It is created when the first entry is written.
        max_bytes: Largest total size of the entries in bytes; 0 turns the cache off.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = 10 * 10**9) -> None:
        self.folder, self.max_bytes = folder or find_cache_folder(), max_bytes
        # Without a home folder, or with a wrong environment variable, the default depends on the working directory.
        self.is_usable = folder is not None or self.folder.is_absolute()

    def get_path(self, key: str) -> Path:
        """Return the path of an entry."""
        return self.folder / f"images-{key}.bin"

    def allows(self, size: int) -> bool:
        """Return whether an entry of a size in bytes is within the limit; report one that exceeds a limit above 0."""
        if 0 < self.max_bytes < size:
            report_uncached(f"{size / 1e6:,.1f} MB exceed the limit of {self.max_bytes / 1e6:,.1f} MB")
        return size <= self.max_bytes

    def read(
        self, key: str, shape: tuple[int, int, int, int], with_images: bool, in_memory: bool = True
    ) -> Contents | None:
        """Return the contents of an entry without problems, or None if there is none that is intact.

        Args:
            key: 32 hexadecimal digits.
            shape: Number of files, and channels, height and width of the decoded images.
            with_images: Whether the images are needed.
            in_memory: Whether to read the images, or to leave them in the entry.
        """
        if self.max_bytes == 0 or not self.is_usable:
            return None
        path = self.get_path(key)
        contents = read_entry(path, key, shape, with_images, in_memory)
        if contents is not None:
            with contextlib.suppress(OSError):
                # The time of the last change stays the same for the processes that read images from the entry.
                os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return contents

    def write(self, key: str, contents: Contents) -> None:
        """Write an entry, and delete the least recently used ones that exceed the limit.

        If the entry is larger than the limit or cannot be written, that is reported, and nothing is written.

        Args:
            key: 32 hexadecimal digits.
            contents: The contents of the entry; the images are in memory, or there are none.
        """
        images = contents.images if isinstance(contents.images, Tensor) else None
        size = sum(tensor.nbytes for tensor in contents.get_arrays().values()) + OVERHEAD
        if not self.allows(size + (0 if images is None else images.nbytes)):
            return
        with self.create(key, None if images is None else images.shape[1:]) as entry:
            if images is not None:
                entry.store(slice(0, len(images)), images)
            entry.finish(contents)

    def create(self, key: str, image_shape: Sequence[int] | None) -> NewEntry:
        """Return an entry to write, after which the least recently used ones that exceed the limit are deleted.

        Args:
            key: 32 hexadecimal digits.
            image_shape: Channels, height and width of the images, or None if the entry has no images.
        """
        path = self.get_path(key) if self.is_usable else None
        return NewEntry(path, key, image_shape, self._delete_least_recently_used)

    def _list_entries(self) -> Iterator[Entry]:
        """Yield the entries in the folder; none if it does not exist.

        Raises:
            OSError: The folder cannot be listed.
        """
        if not self.folder.exists():
            return
        with os.scandir(self.folder) as found:
            for file in found:
                if OWN_NAME.fullmatch(file.name) and file.is_file(follow_symlinks=False):
                    with contextlib.suppress(OSError):  # another process has deleted it
                        status = file.stat(follow_symlinks=False)
                        yield Entry(file.path, status.st_size, status.st_atime_ns)

    def _delete_least_recently_used(self, written: Path) -> None:
        """Delete entries, except the one just written, until the total size is at most the limit.

        Raises:
            OSError: Entries cannot be listed or deleted.
        """
        entries = sorted(self._list_entries(), key=lambda entry: entry.used)
        excess = sum(entry.size for entry in entries) - self.max_bytes
        for entry in entries:
            if excess > 0 and Path(entry.path).name != written.name:
                with contextlib.suppress(PermissionError):  # Windows does not delete a file that a process reads
                    excess -= _delete(entry)

    def clear(self) -> tuple[int, int]:
        """Delete all entries, and return how many were deleted and their size in bytes.

        Entries that a process which has ended left unfinished count as well; those being written are kept.

        Raises:
            OSError: Entries cannot be listed or deleted.
        """
        sizes = [_delete(entry) for entry in self._list_entries()]
        sizes += remove_abandoned(self.folder)
        return len(sizes), sum(sizes)


def _delete(entry: Entry) -> int:
    """Delete an entry if it still exists, and return its size in bytes."""
    Path(entry.path).unlink(missing_ok=True)
    return entry.size


def describe_old_cache(root: Path) -> str | None:
    """Return one line if `.cache` under a root has files that an earlier version of this package wrote, or None."""
    folder = root / ".cache"
    with contextlib.suppress(OSError):
        if folder.is_dir() and not folder.is_symlink():
            names = [path.name for path in folder.iterdir()]
            own = [name for name in names if OLD_NAME.fullmatch(name)]
            if own and len(own) == len(names):
                return f"{make_printable(folder)} is no longer used and may be deleted"
            if own:
                return f"{make_printable(folder)}: files of an earlier version, such as {own[0]}, may be deleted"
    return None
