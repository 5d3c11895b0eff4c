"""Folders of runs: create one, lock it, and find checkpoints by name."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from classifier.errors import UserError, make_printable
from classifier.files import remove_unfinished
from classifier.runs.history import LOCK, LOGS, list_checkpoints, list_runs

SECONDS_UNTIL_LOCKED = 0.2  # `is_locked` holds the lock of a run for a moment


def create_run_dir(logs: Path, name: str | None = None) -> Path:
    """Create and return the folder of a new run, which no other process can claim.

    Args:
        logs: Folder that contains the folders of all runs.
        name: Name of the new folder; None for "version_" and the next free number.

    Raises:
        UserError: The folder exists already, or cannot be created.
    """
    try:
        logs.mkdir(parents=True, exist_ok=True)
        if name is not None:
            return make_named_dir(logs / name)
        taken = [path.name.removeprefix("version_") for path in logs.glob("version_*")]
        for number in itertools.count(max((int(name) for name in taken if name.isdecimal()), default=-1) + 1):
            with contextlib.suppress(FileExistsError):
                (logs / f"version_{number}").mkdir()
                return logs / f"version_{number}"
    except OSError as error:
        raise UserError(
            f"no run can be created in {logs}: {error.strerror}; choose another place with --trainer.default_root_dir"
        ) from error
    raise AssertionError("unreachable")


def make_named_dir(folder: Path) -> Path:
    """Create the folder of a run that has a name of its own, and return it.

    Raises:
        UserError: It exists already.
        OSError: It cannot be created.
    """
    try:
        folder.mkdir()
    except FileExistsError as error:
        raise UserError(f"{make_printable(folder)} exists already: choose another name for the run") from error
    return folder


@contextlib.contextmanager
def lock_run_dir(run_dir: Path) -> Iterator[None]:
    """Hold an exclusive lock on a run's folder while the context is open.

    If two processes wrote to the same run, they would corrupt its checkpoints. The lock is released when the process
    exits, even after a crash. What a killed process left unfinished in the folder is removed.

    Args:
        run_dir: Folder of the run; it must exist.

    Raises:
        UserError: Another process holds the lock, or the folder cannot be written to. The message names the folder and
            how to proceed.
    """
    lock = FileLock(run_dir / LOCK)
    try:
        lock.acquire(timeout=SECONDS_UNTIL_LOCKED)
    except Timeout as error:
        raise UserError(f"another process is writing to {run_dir}: stop it, or wait for it") from error
    except OSError as error:
        raise UserError(
            f"the run in {run_dir} cannot be continued, because its folder cannot be written to ({error.strerror}): "
            "copy it to another place, and give that one as --ckpt_path"
        ) from error
    try:
        for folder in (run_dir, run_dir / "checkpoints"):
            remove_unfinished(folder)
        yield
    finally:
        lock.release()


def is_locked(run_dir: Path) -> bool:
    """Return whether a process holds the lock on a run's folder; False if that cannot be found out, as on Windows.

    FileLock would change the time of the file, which is that of the start of the run.
    """
    try:
        import fcntl

        with (run_dir / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):
        pass
    return False


def find_checkpoint(name: str, logs: Path = Path(LOGS)) -> Path:
    """Return the checkpoint file that a name refers to.

    Args:
        name: "last" or "best" of the run that was started last, a run's name or folder, or a checkpoint file. Without
            validation images, "best" is the last checkpoint. A name such as "version_3" that is also that of a run's
            folder in the current folder means that folder.
        logs: Folder that contains the folders of all runs, and the record of those that are stored elsewhere.

    Raises:
        UserError: There is no such checkpoint.
    """
    if name in ("last", "best"):
        folder = find_last_run(name, logs) / "checkpoints"
        best = folder / "best.ckpt"
        return best if name == "best" and best.is_file() else find_last_checkpoint(folder)
    path = find_run_dir(name, logs) or Path(name)
    if path.is_dir():
        path = find_last_checkpoint(path / "checkpoints")
    if not path.is_file():
        raise UserError(
            f"--ckpt_path {name}: there is no file {path}; give last, best, a run's name or folder, or a .ckpt file"
        )
    return path


def find_last_run(name: str, logs: Path) -> Path:
    """Return the folder of the run that was started last and has a checkpoint; later runs without one are reported.

    Args:
        name: "last" or "best", for the error message.
        logs: Folder that contains the folders of all runs, and the record of those that are stored elsewhere.

    Raises:
        UserError: No run has a checkpoint.
    """
    runs = list_runs(logs)
    found = next((run for run in reversed(runs) if list_checkpoints(run)), None)
    newest = make_printable(runs[-1]) if runs else ""
    if found is None:
        missing = f"{newest} has no checkpoint" if runs else f"there is no run with a checkpoint under {logs}"
        raise UserError(f"--ckpt_path {name}: {missing}; give a run's folder, or create one with fit")
    if found != runs[-1]:
        from lightning.pytorch.utilities import rank_zero_warn

        rank_zero_warn(
            f"{newest}, which was started last, has no checkpoint: {name} means {make_printable(found)}, which was "
            "started before it"
        )
    return found


def find_run_dir(name: str, logs: Path = Path(LOGS)) -> Path | None:
    """Return the folder of the run with a name, or None if there is no such run.

    Of several runs with the name that are stored elsewhere, it is the one that was started last.

    Args:
        name: Name of the run, such as "version_3", or path of its folder.
        logs: Folder that contains the folders of all runs, and the record of those that are stored elsewhere.
    """
    folders = [Path(name)]
    if is_plain_name(name):
        folders += [logs / name, *(run for run in reversed(list_runs(logs)) if run.name == name)]
    found = [folder for folder in folders if folder.is_dir()]
    # A folder of the same name that is not a run, such as one of images, does not hide the run.
    return next((folder for folder in found if (folder / "checkpoints").is_dir()), next(iter(found), None))


def is_run_dir(folder: Path) -> bool:
    """Return whether a folder is that of a run, which can be continued in it.

    A folder outside `lightning_logs` that happens to contain checkpoints and a `config.yaml` is not.
    """
    is_own = (folder / "config.yaml").is_file() and (folder / LOCK).is_file()
    return is_own or folder.resolve().parent.name == LOGS


def is_plain_name(name: str) -> bool:
    """Return whether a text is the name of a file or a folder, and not a path."""
    return name not in ("", ".", "..") and "\0" not in name and Path(name).name == name


def find_last_checkpoint(folder: Path) -> Path:
    """Return `last.ckpt` of a folder or, if the folder has checkpoints under other names only, the newest one."""
    files = list_checkpoints(folder.parent)
    last = folder / "last.ckpt"
    return files[-1] if files and last not in files else last
