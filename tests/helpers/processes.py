"""Run the program in separate processes."""

import contextlib
import multiprocessing
import os
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# Importing everything takes seconds. One process does that once, and all programs that tests start are forked from it.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["classifier.cli.lightning_cli", "classifier.cli.function_commands", "sklearn.datasets", "torch.utils.tensorboard"]
)


def run_as_program(args: tuple[str, ...], folder: Path) -> None:
    """Behave like `python -m classifier ARGS` in a folder, with output redirected to its files `out` and `err`."""
    import classifier.__main__ as program
    from classifier.cli.main import main

    os.chdir(folder)
    sys.path.insert(0, "")
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["classifier", *args]
    sys.modules["__main__"] = program  # Lightning starts further processes of this module
    main(list(args))


def list_children(pid: int) -> list[int]:
    """Return the ids of the running child processes of a process."""
    children = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z" and int(parent) == pid:
                children.append(int(folder.name))
    return children


def wait_for(condition, seconds: float = 60) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: It does not hold within `seconds`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)
