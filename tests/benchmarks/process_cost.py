"""Measure the time and the memory of a process, from its start to its exit."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
CLASSIFIER = [sys.executable, "-m", "classifier"]
# No Lightning CLI starts faster than this.
IMPORT = [sys.executable, "-c", "import lightning.pytorch.cli"]


class ProcessCost(NamedTuple):
    """What a process took: elapsed seconds, CPU seconds (user and system), and its peak memory in MB."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure_process(command: list[str], folder: Path | str, expected_status: int = 0) -> ProcessCost:
    """Run a command in a folder, and return what it took.

    Raises:
        CalledProcessError: The command exits with another status than the expected one; its errors are on stderr.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    # The command is started by this file as a small process of its own, because Linux attributes the memory of a
    # process that starts another one to the other one, too.
    measure = [sys.executable, "-S", __file__, str(expected_status), *map(str, command)]
    output = subprocess.check_output(measure, cwd=folder, env=environment, text=True)
    return ProcessCost(*map(float, output.split()))


def run() -> None:
    """Run the command in sys.argv, and print the fields of its ProcessCost."""
    expected_status, *command = sys.argv[1:]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != int(expected_status):
        sys.exit(f"{' '.join(command)} exits with status {process.returncode}: {process.stderr}")
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(seconds, cpu_seconds, after.ru_maxrss / 1024)


if __name__ == "__main__":
    run()
