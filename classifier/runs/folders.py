"""Folders of runs: create one, lock it, and find checkpoints by name."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from classifier.errors import UserError
from classifier.files import remove_unfinished

LOGS = "lightning_logs"


def create_run_dir(logs: Path) -> str:
    """Create the folder of a new run and return its name, which no other process can get.

    Args:
        logs: Folder that contains the folders of all runs.

    Raises:
        UserError: The folder cannot be written to.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
        taken = [path.name.removeprefix("version_") for path in logs.glob("version_*")]
        for number in itertools.count(max((int(name) for name in taken if name.isdigit()), default=-1) + 1):
            with contextlib.suppress(FileExistsError):
                (logs / f"version_{number}").mkdir()
                return f"version_{number}"
    except OSError as error:
        raise UserError(
            f"no run can be created in {logs}: {error.strerror}; choose another place with --trainer.default_root_dir"
        ) from error
    raise AssertionError("unreachable")


@contextlib.contextmanager
def lock_run_dir(run_dir: Path) -> Iterator[None]:
    """Hold an exclusive lock on a run's folder while the context is open.

    If two processes wrote to the same run, they would corrupt its checkpoints. The lock is released when the process
    exits, even after a crash. What a killed process left unfinished in the folder is removed.

    Args:
        run_dir: Folder of the run; it must exist.

    Raises:
        UserError: Another process holds the lock. The message names the folder and how to proceed.
    """
    lock = FileLock(run_dir / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise UserError(f"another process is writing to {run_dir}: stop it, or wait for it") from error
    try:
        for folder in (run_dir, run_dir / "checkpoints"):
            remove_unfinished(folder)
        yield
    finally:
        lock.release()


def find_checkpoint(name: str, logs: Path = Path(LOGS)) -> Path:
    """Return the checkpoint file that a name refers to.

    Args:
        name: "last" or "best" of the run that saved a checkpoint most recently, a run's name or folder, or a checkpoint
            file. Without validation images, "best" is the last checkpoint. A name such as "version_3" that is also
            that of a run's folder in the current folder means that folder.
        logs: Folder that contains the folders of all runs.

    Raises:
        UserError: There is no such checkpoint.
    """
    if name in ("last", "best"):
        files = sorted(logs.glob("*/checkpoints/*.ckpt"), key=lambda file: file.stat().st_mtime)
        if not files:
            raise UserError(
                f"--ckpt_path {name}: there is no run with a checkpoint under {logs}; give a run's folder, or create "
                "one with fit"
            )
        best = files[-1].with_name("best.ckpt")
        return best if name == "best" and best.is_file() else find_last_checkpoint(files[-1].parent)
    path = find_run_dir(name, logs) or Path(name)
    if path.is_dir():
        path = find_last_checkpoint(path / "checkpoints")
    if not path.is_file():
        raise UserError(
            f"--ckpt_path {name}: there is no file {path}; give last, best, a run's name or folder, or a .ckpt file"
        )
    return path


def find_run_dir(name: str, logs: Path = Path(LOGS)) -> Path | None:
    """Return the folder of the run with a name, or None if there is no such run.

    Args:
        name: Name of the run, such as "version_3", or path of its folder.
        logs: Folder that contains the folders of all runs.
    """
    folders = [Path(name), *([logs / name] if is_plain_name(name) else [])]
    found = [folder for folder in folders if folder.is_dir()]
    # A folder of the same name that is not a run, such as one of images, does not hide the run.
    return next((folder for folder in found if (folder / "checkpoints").is_dir()), next(iter(found), None))


def is_plain_name(name: str) -> bool:
    """Return whether a text is the name of a file or a folder, and not a path."""
    return name not in ("", ".", "..") and "\0" not in name and Path(name).name == name


def find_last_checkpoint(folder: Path) -> Path:
    """Return `last.ckpt` of a folder or, if the folder has checkpoints under other names only, the newest one."""
    files = sorted(folder.glob("*.ckpt"), key=lambda file: file.stat().st_mtime)
    last = folder / "last.ckpt"
    return files[-1] if files and last not in files else last
