"""Files that are whole or not there."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a path of the same name to write to, and put that file in the place of `path` once it is on the disk.

    Args:
        path: The file; whatever happens, it is the new one as a whole, or what it was before.

    Raises:
        OSError: When the disk is full or cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".unfinished-") as folder:
        unfinished = Path(folder, path.name)
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
