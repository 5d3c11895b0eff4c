"""Fail at one chosen operation on the files of a folder: a kill, a signal, a full disk or a read-only one."""

import builtins
import contextlib
import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from helpers.processes import run_as_program

# What a full disk refuses; it still renames and deletes files.
NEED_SPACE = ("create", "write", "fsync", "mkdir")
# What differs between two runs in the names of files.
RANDOM = re.compile(r"(?<=^events).+|(?<=^\.unfinished-).+")
EFFECTS = ("kill", "tear", "interrupt", "terminate", "full", "full once", "read-only")
# Events of Python's audit hooks, which precede the operation; raising an exception in a hook prevents it.
EVENTS = {
    "os.rename": "rename",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.remove": "remove",
    "os.truncate": "write",
}
Operation = int | tuple[str, int]
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
hooks: list[Callable[[str, tuple], None]] = []  # an audit hook cannot be removed again: one hook calls all of these


def call_hooks(event: str, arguments: tuple) -> None:
    """Call all audit hooks that are active."""
    for hook in tuple(hooks):
        hook(event, arguments)


class Killed(BaseException):
    """Raised instead of a kill in a process that must survive."""


class FileFaults:
    """Counts the operations that change files in a folder, and fails at one of them.

    Args:
        folder: The folder; operations elsewhere are neither counted nor changed.
        chosen: The operation that fails: its index from 0, or its label and how often it is reached, such as
            ("rename last.ckpt", 2); None only counts.
        effect: One of EFFECTS, or "raise". "kill" ends the process without any clean-up, "tear" after half of a write.
            "raise" leaves the same files, because it raises Killed in this operation and all later ones. "interrupt"
            and "terminate" send SIGINT and SIGTERM. "full" fails this operation and all later ones that need space,
            "full once" only this one, and "read-only" this one and all later ones.
    """

    def __init__(self, folder: Path, chosen: Operation | None = None, effect: str = "kill") -> None:
        self.folder, self.chosen, self.effect = folder.resolve(), chosen, effect
        self.labels: list[str] = []
        self.reached = False

    def operate(self, kind: str, path: Any, write_half: Callable[[], Any] = lambda: None) -> None:
        """Count an operation of a kind on a path, and fail if it is the chosen one, or a later one of a lasting fault.

        Args:
            kind: "create", "write", "fsync", "rename", "mkdir", "rmdir" or "remove".
            path: The file or folder.
            write_half: Writes the first half of what is to be written.
        """
        absolute = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 does not follow links
        if self.folder not in absolute.parents or absolute.name in ("out", "err"):
            return
        label = f"{kind} {RANDOM.sub('', absolute.name)}"
        self.labels.append(label)
        if self.chosen in (len(self.labels) - 1, (label, self.labels.count(label))):
            self.reached = True
        elif not self.reached or self.effect not in ("raise", "full", "read-only"):
            return
        if self.effect == "raise":
            raise Killed
        name = [] if kind in ("write", "fsync") else [str(absolute)]  # the system's errors of these carry no name
        if self.effect == "tear":
            write_half()
        if self.effect in ("kill", "tear"):
            os._exit(128 + signal.SIGKILL)
        if self.effect in ("interrupt", "terminate"):
            os.kill(os.getpid(), signal.SIGINT if self.effect == "interrupt" else signal.SIGTERM)
        elif self.effect == "read-only":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), *name)
        elif kind in NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *name)

    def hear(self, event: str, arguments: tuple) -> None:
        """Count an operation that Python reports as an audit event."""
        if event == "open":
            path, _, flags = arguments
            if flags & WRITE_FLAGS and isinstance(path, (str, bytes, os.PathLike)):
                self.operate("create", path)
        elif event in EVENTS:
            self.operate(EVENTS[event], arguments[1 if event == "os.rename" else 0])

    @contextlib.contextmanager
    def active(self) -> Iterator["FileFaults"]:
        """Count and fail while the context is open, in all threads of this process."""
        if not hooks:
            sys.addaudithook(call_hooks)
            hooks.append(lambda *_: None)
        opened, synchronise = io.open, os.fsync

        def open_counted(
            file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
            newline: Any = None, **kwargs: Any,
        ) -> Any:  # fmt: skip
            if not set(mode) & set("wax") or not isinstance(file, (str, bytes, os.PathLike)):
                return opened(file, mode, buffering, encoding, errors, newline, **kwargs)
            buffer = io.BufferedWriter(CountedFile(self, file, mode.strip("bt")))
            return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline)

        def sync_counted(file: int) -> None:
            self.operate("fsync", Path(f"/proc/self/fd/{file}").readlink())
            synchronise(file)

        hooks.append(self.hear)
        io.open = builtins.open = open_counted
        os.fsync = sync_counted
        try:
            yield self
        finally:
            hooks.remove(self.hear)
            io.open = builtins.open = opened
            os.fsync = synchronise


class CountedFile(io.FileIO):
    """A file opened for writing whose writes are counted."""

    def __init__(self, faults: FileFaults, file: Any, mode: str) -> None:
        super().__init__(file, mode)
        self.faults = faults

    def write(self, data: Any) -> int:
        """Write bytes."""
        self.faults.operate(
            "write", self.name, lambda: super(CountedFile, self).write(memoryview(data)[: len(data) // 2])
        )
        return super().write(data)


def run_with_fault(args: tuple[str, ...], folder: Path, chosen: Operation | None, effect: str, report: Path) -> None:
    """Behave like `python -m classifier ARGS` in a folder, but fail at one operation on the files in its subfolders.

    Args:
        args: Command-line arguments.
        folder: The folder.
        chosen: The operation, as in FileFaults.
        effect: What happens there, as in FileFaults.
        report: File that the labels of all operations are written to, one per line, if the process is not killed.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a program in the background starts with SIGINT ignored
    faults = FileFaults(folder, chosen, effect)
    try:
        with faults.active():
            run_as_program(args, folder)
    finally:
        report.write_text("".join(f"{label}\n" for label in faults.labels))
