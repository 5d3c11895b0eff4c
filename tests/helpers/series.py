"""A run that is stopped and resumed until it is finished, and whose records are then compared with those expected."""

import re
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import Process
from pathlib import Path
from typing import Any

from helpers.processes import SERVER, run_as_program, wait_for
from helpers.records import compare, find_damage, read_epoch_lines, read_records
from helpers.runs import LOGS

STARTED = "started"  # file that appears when a process can receive signals
SECONDS = 120  # after which a process counts as hanging
NEXT_COMMAND = re.compile(r"continue with: .*classifier (.+)$", re.MULTILINE)
DONE = re.compile(r"has done (\d+) of \1 (epochs|steps)")


def run_with_sigint(args: tuple[str, ...], folder: Path) -> None:
    """Behave like `python -m classifier ARGS` in a folder, also if this process was started with SIGINT ignored."""
    import classifier.__main__  # noqa: F401 so that the signal does not arrive while it is imported

    signal.signal(signal.SIGINT, signal.default_int_handler)
    (folder / STARTED).touch()
    run_as_program(args, folder)


class Series:
    """Starts of one run in a folder of its own.

    Args:
        folder: An empty folder.
        args: Command line of the run, from "fit" on.
    """

    def __init__(self, folder: Path, args: tuple[str, ...]) -> None:
        folder.mkdir(parents=True)
        self.folder, self.args = folder, args
        self.history: list[str] = []  # one line per start, for a report
        self.printed: list[str] = []
        self.err = ""
        self.finished = False

    @property
    def run_dir(self) -> Path:
        """Folder of the newest run."""
        runs = (self.folder / LOGS).glob("version_*")
        return max(runs, key=lambda path: int(path.name[8:]), default=self.folder / LOGS / "version_0")

    def get_next_args(self, resumes_from: str = "") -> tuple[str, ...]:
        """Return the command line that continues: the printed one, or one for the last checkpoint, if there is one."""
        folder = self.run_dir / "checkpoints"
        command = NEXT_COMMAND.search(self.printed[-1]) if self.printed else None
        if resumes_from and (files := list(folder.glob(resumes_from))):
            newest = max(files, key=lambda path: path.stat().st_mtime_ns)
            return ("fit", "--ckpt_path", str(newest.relative_to(self.folder)), "--pictures=false")
        if command:
            return (*shlex.split(command[1]), "--pictures=false")
        if (folder / "last.ckpt").exists():
            return ("fit", "--ckpt_path", str(self.run_dir.relative_to(self.folder)), "--pictures=false")
        return self.args

    def start(
        self,
        more: tuple[str, ...] = (),
        stop: Callable[[Process], str] | None = None,
        target: Callable[..., None] = run_with_sigint,
        target_args: tuple = (),
        resumes_from: str = "",
    ) -> int:
        """Start or resume the run, and wait for the process to end.

        Args:
            more: Options added to the command line.
            stop: Function that stops the process and returns what it did, or None to let the run end.
            target: Function of the process; it takes the command line, the folder and `target_args`.
            target_args: Further arguments of `target`.
            resumes_from: Pattern of checkpoints, the newest of which the run is resumed from instead of its last one.

        Returns:
            Exit status of the process, negative for a signal.
        """
        args = (*self.get_next_args(resumes_from), *more)
        for name in ("out", "err"):
            (self.folder / name).write_text("")
        (self.folder / STARTED).unlink(missing_ok=True)
        process = SERVER.Process(target=target, args=(args, self.folder, *target_args))
        process.start()
        if stop:
            wait_for((self.folder / STARTED).exists, SECONDS)
        action = stop(process) if stop else "not stopped"
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            action += ", hangs"
        self.printed.append((self.folder / "out").read_text())
        self.err = (self.folder / "err").read_text()
        self.finished = process.exitcode == 0 or DONE.search(self.err) is not None
        self.history.append(f"{shlex.join(args)}: {action}, status {process.exitcode} {self.err.strip()[-300:]}")
        return process.exitcode

    def find_differences(self, expected: dict[str, Any], lines: set[tuple[str, str]]) -> Iterator[str]:
        """Yield one line per difference between the finished run and an uninterrupted one.

        Args:
            expected: Records of the uninterrupted run.
            lines: Its lines of all epochs.
        """
        if not self.finished:
            yield "the run cannot be finished"
            return
        yield from find_damage(self.run_dir)
        try:
            records = read_records(self.run_dir)
        except Exception as error:  # reported as damage
            yield f"records cannot be read: {error!r}"[:200]
            return
        yield from compare(expected, records)
        printed = {line for text in self.printed for line in read_epoch_lines(text)}
        yield from (f"printed {line}" for line in sorted(printed - lines))
        yield from (f"not printed {line}" for line in sorted(lines - printed))


def record_uninterrupted(folder: Path, args: tuple[str, ...]) -> tuple[dict[str, Any], set[tuple[str, str]], float]:
    """Run a command line without a stop.

    Returns:
        Its records, its lines of all epochs, and its duration in seconds.
    """
    for name in ("warm-up", "expected"):  # the first process of the server imports more
        series, started = Series(folder / name, args), time.monotonic()
        status = series.start()
        assert status == 0, series.history
    if series.err:
        print("an uninterrupted run printed to stderr:", series.history[-1])
    seconds = time.monotonic() - started
    return read_records(series.run_dir), set(read_epoch_lines(series.printed[-1])), seconds
