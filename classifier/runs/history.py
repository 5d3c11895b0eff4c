"""Which runs were started from the current folder, and which of them was started last.

A run in `lightning_logs` needs no record. The paths of runs that are stored elsewhere are in a file in that folder, of
which every line is read as a path and as nothing else.
"""

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from classifier.errors import make_printable

LOGS = "lightning_logs"
LOCK = ".lock"  # in the folder of a run; its time is that of the last start
ELSEWHERE = ".runs_elsewhere"  # one path per line, as a JSON string
MAX_SIZE = 1_000_000  # bytes that are read of it, from its end


def record_start(run_dir: Path, logs: Path = Path(LOGS)) -> None:
    """Record that a run starts or is resumed now, so that `last` finds it.

    If it is stored outside the folder of all runs, its path is recorded there, too, as one line that is appended, so
    that runs can be started at the same time. A path below the folder that contains `logs` is recorded relative to that
    folder. If the line cannot be written, a warning is printed.

    Args:
        run_dir: Folder of the run, which must be locked.
        logs: Folder that contains the folders of all other runs, and the record.
    """
    os.utime(run_dir / LOCK)
    folder = run_dir.resolve()
    if folder.parent == logs.resolve():
        return
    here = logs.parent.resolve()
    path = folder.relative_to(here) if folder.is_relative_to(here) else folder
    if logs.parent / path in read_elsewhere(logs):
        return
    try:
        logs.mkdir(parents=True, exist_ok=True)
        # The line break comes first, because a line that another process did not complete may be above.
        with (logs / ELSEWHERE).open("ab", buffering=0) as file:
            file.write(f"\n{json.dumps(os.fspath(path))}".encode())
    except OSError as error:
        warnings.warn(
            f"last and best will not find {make_printable(run_dir)}: {make_printable(logs / ELSEWHERE)} cannot be "
            f"written: {error.strerror}",
            stacklevel=2,
        )


def read_elsewhere(logs: Path) -> Iterator[Path]:
    """Yield the recorded paths of runs, whether they exist or not. Lines that are not a path are skipped."""
    try:
        with (logs / ELSEWHERE).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_SIZE))
            lines = file.read(MAX_SIZE).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            path = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(path, str) and path and "\0" not in path:
            yield logs.parent / path


def list_runs(logs: Path = Path(LOGS)) -> list[Path]:
    """Return the folders of the runs in a folder and of those recorded in it, in the order in which they were started.

    A run that is resumed counts as started again. For a run without a lock, which was copied or trained in a notebook,
    the time of its `config.yaml` or of its newest checkpoint counts. A folder without any of these is no run.
    """
    try:
        folders = sorted(path for path in logs.iterdir() if path.is_dir())
    except OSError:
        folders = []
    runs: dict[str, tuple[float, Path]] = {}
    for folder in (*folders, *read_elsewhere(logs)):
        if started := get_start(folder):
            runs.setdefault(os.path.realpath(folder), (started, folder))
    return [folder for _, folder in sorted(runs.values(), key=lambda run: run[0])]


def get_start(run_dir: Path) -> float:
    """Return the time at which a run was started last, or 0 if the folder is not that of a run."""
    times = (get_time(run_dir / name) for name in (LOCK, "config.yaml"))
    return next(filter(None, times), 0.0) or max(map(get_time, list_checkpoints(run_dir)), default=0.0)


def list_checkpoints(run_dir: Path) -> list[Path]:
    """Return the checkpoints of a run, the newest one last."""
    try:
        return sorted((run_dir / "checkpoints").glob("*.ckpt"), key=get_time)
    except OSError:  # the folder cannot be read, or its recorded path is too long
        return []


def get_time(file: Path) -> float:
    """Return the time at which a file was written, or 0 if there is none, for example because it is being replaced."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
