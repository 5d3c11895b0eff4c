"""Images of one shape at the beginning of a file, which are read from the file whenever they are used."""

import os
import threading
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch
from torch import Tensor

from classifier.data.opening import open_regular_file
from classifier.errors import UserError, make_printable

CHUNK = 2**18  # bytes; the checksum is computed of each chunk while the processor's cache contains it
SEEKING = threading.Lock()  # held where a read needs a seek


class ImageRows:
    """uint8 images of one shape at the beginning of a file that nobody changes; anything may follow them.

    What was read of the file is in the memory of the operating system, which uses it for something else when it is
    short of memory. The file is not mapped into the memory of the process: to access the mapping of a file that was
    truncated in the meantime would kill the process. The file stays open, so that POSIX systems can still read it after
    another process has deleted it. A pickled object opens the file again.

    Args:
        path: The file; links are not followed.
        count: Number of images, N.
        image_shape: Channels, height and width.
        max_bytes: Size that the file may have.
        state: What `get_state` returned when the file was opened for the first time, or None if this is the first time.

    Raises:
        OSError: The file cannot be opened, is too small or too large, or no regular file.
        UserError: The file has changed since `state`.
    """

    def __init__(
        self,
        path: Path,
        count: int,
        image_shape: Sequence[int],
        max_bytes: int,
        state: tuple[int, ...] | None = None,
    ) -> None:
        self.path, self.image_shape, self.max_bytes = path.absolute(), tuple(image_shape), max_bytes
        self.count, self.row_bytes = count, int(np.prod(image_shape, dtype=object))
        with open_regular_file(path, max_bytes, follow_links=False) as file:
            self.file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.file)
        self.state = self.get_state() if state is None else state
        self._check_state()
        if os.fstat(self.file).st_size < self.nbytes:
            raise OSError("the file is too small")

    def __reduce__(self) -> tuple[type, tuple]:
        """Return how to open the file again in another process."""
        return ImageRows, (self.path, self.count, self.image_shape, self.max_bytes, self.state)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.count

    @property
    def nbytes(self) -> int:
        """Size of all images in bytes."""
        return self.count * self.row_bytes

    def get_state(self) -> tuple[int, ...]:
        """Return the identity, the size and the time of the last change of the file; these are compared after a read.

        Neither its use as an entry of the cache nor its deletion changes them.
        """
        status = os.fstat(self.file)
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def read(self, rows: list[int]) -> Tensor:
        """Return the images (len(rows), C, H, W) of the given rows; consecutive rows are read together.

        Raises:
            UserError: The file cannot be read, or has changed.
        """
        images = torch.empty(len(rows), *self.image_shape, dtype=torch.uint8)
        buffer, size = get_bytes(images.numpy()), self.row_bytes
        if rows and rows == list(range(rows[0], rows[0] + len(rows))):
            self._fill(buffer, rows[0] * size)
        else:
            for i, row in enumerate(rows):
                self._fill(buffer[i * size : (i + 1) * size], row * size)
        self._check_state()
        return images

    def compute_crc(self, images: Tensor | None = None) -> int:
        """Return the CRC-32 of all images, which are read once from first to last.

        Args:
            images: A contiguous uint8 tensor (N, C, H, W) that the images are also copied to.

        Raises:
            UserError: The file cannot be read, or has changed.
        """
        target = memoryview(bytearray(min(CHUNK, self.nbytes))) if images is None else get_bytes(images.numpy())
        crc = 0
        for start in range(0, self.nbytes, CHUNK):
            stop = min(start + CHUNK, self.nbytes)
            chunk = target[: stop - start] if images is None else target[start:stop]
            self._fill(chunk, start)
            crc = zlib.crc32(chunk, crc)
        self._check_state()
        return crc

    def _fill(self, buffer: memoryview, offset: int) -> None:
        """Fill a buffer with the bytes of the file from `offset` on."""
        while len(buffer):  # one call reads at most 2 GB
            try:
                count = read_at(self.file, buffer, offset)
            except OSError as error:
                raise UserError(f"{make_printable(self.path)} cannot be read: {error.strerror or error}") from error
            if not count:
                self._refuse()
            buffer, offset = buffer[count:], offset + count

    def _check_state(self) -> None:
        """Raise a UserError if the file has changed since it was opened for the first time."""
        if self.get_state() != self.state:
            self._refuse()

    def _refuse(self) -> None:
        """Raise the UserError of a changed file."""
        raise UserError(f"{make_printable(self.path)} has changed while it was in use: run the command again")


def read_at(file: int, buffer: memoryview, offset: int) -> int:
    """Read from a file descriptor to a buffer, and return the number of bytes that were read; 0 at the end of the file.

    Args:
        file: The descriptor, which processes and threads can share.
        buffer: Where to write, at least 1 byte.
        offset: Position in the file in bytes.
    """
    if hasattr(os, "preadv"):
        return os.preadv(file, [buffer], offset)
    with SEEKING:  # on Windows
        os.lseek(file, offset, os.SEEK_SET)
        read = os.read(file, len(buffer))
    buffer[: len(read)] = read
    return len(read)


def write_rows(file: IO[bytes], rows: slice | Tensor, images: Tensor) -> None:
    """Write images to a file at the position of their rows.

    Args:
        file: The file, opened for writing.
        rows: The N rows: a slice without a step, or an int64 tensor.
        images: uint8 images (N, C, H, W) on the CPU.
    """
    stored, row_bytes = get_bytes(images.contiguous().numpy()), images[:1].numel()
    if isinstance(rows, slice):
        file.seek(rows.start * row_bytes)
        file.write(stored)
        return
    for i, row in enumerate(rows.tolist()):
        file.seek(row * row_bytes)
        file.write(stored[i * row_bytes : (i + 1) * row_bytes])


def compute_file_crc(file: IO[bytes]) -> int:
    """Return the CRC-32 of everything in a file that is open for reading; its position is at the end afterwards."""
    file.seek(0)
    crc = 0
    while chunk := file.read(CHUNK):
        crc = zlib.crc32(chunk, crc)
    return crc


def get_bytes(array: np.ndarray) -> memoryview:
    """Return the memory of a contiguous array as bytes."""
    return array.reshape(-1).view(np.uint8).data
