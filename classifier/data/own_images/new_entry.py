"""Write an entry of the cache while its images are decoded."""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from filelock import FileLock
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from classifier.data.own_images.cache_entries import Contents, append_archive, describe_images
from classifier.data.own_images.image_rows import ImageRows, compute_file_crc, write_rows
from classifier.errors import make_printable
from classifier.files import ABANDONED, atomic_write, list_unfinished

LOCK = ".lock"  # in the folder of an unfinished entry


class NewEntry:
    """An entry of the cache that is being written: first its images, in any order, and then everything else.

    It is a context, at the end of which an entry that was not finished is removed. If it cannot be written, that is
    reported once, and the calls that follow have no effect.

    Args:
        path: File of the entry, or None if there is no folder for it.
        key: Key of the entry.
        image_shape: Channels, height and width of the images, or None if the entry has no images.
        make_room: Function that is called with `path` after the entry was written, to delete others.
    """

    def __init__(
        self, path: Path | None, key: str, image_shape: Sequence[int] | None, make_room: Callable[[Path], None]
    ) -> None:
        self.path, self.key, self.image_shape, self.make_room = path, key, image_shape, make_room
        self.context = contextlib.ExitStack()
        self.is_open = False
        self.written: tuple[int, ...] | None = None  # identity and size of the file

    def __enter__(self) -> "NewEntry":
        """Create the file and, if necessary, its folder."""
        with self._report_errors():
            if self.path is None:
                raise OSError("there is no home folder")
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            remove_abandoned(self.path.parent)
            unfinished = self.context.enter_context(atomic_write(self.path))
            self.context.enter_context(keep_from_removal(unfinished.parent))
            self.file = self.context.enter_context(unfinished.open("w+b"))
            self.is_open = True
        return self

    def store(self, rows: slice | Tensor, images: Tensor) -> None:
        """Write images; all rows up to the last one must be written before the entry is finished.

        Args:
            rows: Rows of the N images: a slice without a step, or an int64 tensor (N,).
            images: uint8 images (N, C, H, W) on the CPU.
        """
        if self.is_open:
            with self._report_errors():
                write_rows(self.file, rows, images)

    def finish(self, contents: Contents) -> None:
        """Write everything but the images, which must be complete.

        Args:
            contents: What to write.
        """
        if not (self.is_open and self.path):
            return
        with self._report_errors():
            shape = self.image_shape
            images = None if shape is None else describe_images(shape, compute_file_crc(self.file))
            append_archive(self.file, self.key, contents, images)
            self.file.flush()
            os.fsync(self.file.fileno())  # which takes longest, and must not be done after the lock is released
            status = os.fstat(self.file.fileno())
            self.is_open = False
            self.context.close()
            self.written = status.st_dev, status.st_ino, status.st_size
            self.make_room(self.path)

    def open_images(self, count: int, report: bool = True) -> ImageRows | None:
        """Return the images of a finished entry, or None if it could not be written, or was removed since.

        Args:
            count: Number of images.
            report: Whether to report that the entry cannot be opened.
        """
        if self.written is None or self.path is None or self.image_shape is None:
            return None
        try:
            rows = ImageRows(self.path, count, self.image_shape, max_bytes=self.written[-1])
            if rows.state[: len(self.written)] == self.written:
                return rows
            problem: object = "another process has replaced it"
        except OSError as error:
            problem = error.strerror or error
        if report:
            report_uncached(f"{make_printable(self.path)} cannot be used: {problem}")
        return None

    @contextlib.contextmanager
    def _report_errors(self) -> Iterator[None]:
        """Remove and report an entry that cannot be written."""
        try:
            yield
        except OSError as error:
            self._remove(error)
            place = "the default folder" if self.path is None else make_printable(self.path.parent)
            report_uncached(f"{place} cannot be written to: {error.strerror or error}")

    def _remove(self, error: BaseException) -> None:
        """Remove an unfinished entry; the error keeps it from being renamed."""
        self.is_open = False
        with contextlib.suppress(OSError):
            self.context.__exit__(type(error), error, error.__traceback__)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the entry if it was not finished."""
        if self.is_open:
            self._remove(error or InterruptedError())


@contextlib.contextmanager
def keep_from_removal(folder: Path) -> Iterator[None]:
    """Hold a lock in the folder of an unfinished entry, which is released when the process ends, however it ends.

    A folder without a lock is not removed until it is old. The lock therefore appears when it is held already, and
    disappears before it is released.

    Args:
        folder: The folder.

    Raises:
        OSError: The lock cannot be created.
    """
    with FileLock(folder / f"{LOCK}-new", blocking=False):
        with contextlib.suppress(PermissionError):  # Windows does not rename a file that is open
            (folder / f"{LOCK}-new").replace(folder / LOCK)
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> list[int]:
    """Remove the unfinished entries of processes that have ended, and return their sizes in bytes.

    Args:
        folder: Folder of the cache.
    """
    sizes = []
    for path in list_unfinished(folder):
        lock = path / LOCK
        own = lock.with_name(f"{LOCK}-{os.getpid()}-{threading.get_ident()}")
        with contextlib.suppress(OSError):  # another process holds the lock, or has removed the folder
            if lock.exists():
                own.hardlink_to(lock)  # FileLock would create the file that a process has just removed
                try:
                    with FileLock(own, blocking=False):
                        if not lock.exists():  # the entry was finished in the meantime
                            continue
                finally:
                    own.unlink(missing_ok=True)
            elif path.stat().st_mtime > time.time() - ABANDONED:  # it was created, or finished, just now
                continue
            sizes.append(sum(file.stat().st_size for file in path.iterdir()))
            shutil.rmtree(path, ignore_errors=True)
    return sizes


def report_uncached(reason: str) -> None:
    """Print why decoded images are not in the cache."""
    rank_zero_warn(f"decoded images are not cached on disk: {reason}")
