"""Train, evaluate and predict many times in one process, and measure whether memory, files and threads grow.

    python tests/fuzz/growth.py --count 200

After the warm-up, a quarter of the runs, the number of open files and threads must not rise, the number of Python
objects by at most 20 per run, and the resident memory by at most 20 KB per run. The exit status is 1 if one
of them does.
"""

import argparse
import contextlib
import gc
import io
import os
import statistics
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from classifier.cli.main import main

FIT = (
    "fit", "--config=digits", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--data.val_split=50",
    "--trainer.accelerator=cpu",
)  # fmt: skip
# {epochs} rises by 1 with every run.
COMMANDS = {
    "fit": (*FIT, "--pictures=false"),
    "fit with pictures": FIT,
    "resume": ("fit", "--ckpt_path=last", "--pictures=false", "--trainer.max_epochs={epochs}"),
    "test": ("test", "--trainer.accelerator=cpu"),
    "predict": ("predict", "image.png", "--output=predictions.csv"),
    "error": ("fit", "--config=digits", "--data.val_split=2000"),
}
# Highest growth per run. jsonargparse creates classes while it parses, of which caches of Python keep some.
LIMITS = {"open files": 0.02, "threads": 0.02, "Python objects": 20.0, "memory in KB": 20.0}


def measure() -> dict[str, int]:
    """Return the numbers of open files, threads and Python objects of this process, and its resident memory in KB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "Python objects": len(gc.get_objects()),
        "memory in KB": pages * os.sysconf("SC_PAGE_SIZE") // 1024,
    }


def run_command(args: tuple[str, ...]) -> None:
    """Run a command line in this process, without output; Ctrl-C and SIGTERM end this program."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        try:
            main(list(args))
        except SystemExit as stop:
            if stop.code not in (None, 0, 1, 2):
                raise


def measure_growth(args: tuple[str, ...], count: int) -> dict[str, float]:
    """Run a command line many times, and return the growth per run of each quantity after the warm-up.

    Args:
        args: The command line.
        count: Number of runs, above 7.
    """
    measured = []
    for i in range(count):
        run_command(tuple(arg.replace("{epochs}", str(i + 2)) for arg in args))
        measured.append(measure())
    runs = range(count // 4, count)
    return {name: statistics.linear_regression(runs, [measured[i][name] for i in runs]).slope for name in LIMITS}


def find_growing(growth: dict[str, float]) -> list[str]:
    """Return the quantities that grow by more than their limit."""
    return [name for name, slope in growth.items() if slope > LIMITS[name]]


def run() -> None:
    """Measure every command, print the growth, and exit with status 1 if something grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="runs of each command")
    parser.add_argument("--seed", type=int, default=0, help="not used: the runs are always the same")
    parser.add_argument("--commands", default=",".join(COMMANDS))
    options = parser.parse_args()
    broken = False
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save("image.png")
        for name in options.commands.split(","):
            run_command(COMMANDS["fit"])  # the last run, which the others use
            growth = measure_growth(COMMANDS[name], options.count)
            growing = find_growing(growth)
            broken |= bool(growing)
            values = ", ".join(f"{slope:+.3f} {key}" for key, slope in growth.items())
            print(f"{name}, {options.count} runs: {values} per run {'GROWS' if growing else ''}", flush=True)
    sys.exit(broken)


if __name__ == "__main__":
    run()
