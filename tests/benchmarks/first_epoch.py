"""Measure time and memory from the start of a command to the end of its first epoch on a folder of photographs.

    python tests/benchmarks/first_epoch.py --rounds 3 --base ../base

writes 13,000 JPEG files of 64 pixels, and trains on them alternately with `fit`, with and without its cache, with that
of another working tree (`--base`), and with an ordinary Lightning script on torchvision's ImageFolder. Seconds are
those until the line of the first epoch; CPU seconds are those of the entire command. Memory is the largest value of 5
samples per second: "tree" is the proportional set size (PSS) of all processes together, in which shared pages count
once, and "main" is the resident set size (RSS) of the largest process. A ratio is the median over the rounds. Linux
only.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from comparison import get_median, get_median_ratio, run_alternately
from PIL import Image
from process_cost import CLASSIFIER, REPOSITORY

NUM_CLASSES = 5
PLAIN = "plain script"


class FirstEpoch(NamedTuple):
    """What a command took.

    Args:
        seconds: Seconds until the end of the first epoch.
        cpu_seconds: CPU seconds (user and system) of all processes until the end of the command.
        tree_mb: Peak memory of all processes in MB.
        main_mb: Peak memory of the largest process in MB.
    """

    seconds: float
    cpu_seconds: float
    tree_mb: float
    main_mb: float


def write_photographs(root: Path, count: int) -> None:
    """Write smooth random JPEG files of 64 pixels in `NUM_CLASSES` folders."""
    generator = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"class{number % NUM_CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{number:05}.jpg", quality=90)


def list_processes(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += list_processes(int(child))
    return found


def read_megabytes(pid: int, file: str, field: str) -> float:
    """Return a field of a file of /proc in MB; 0 if the process has exited."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0)


def watch_memory(pid: int, peaks: list[float], is_done: threading.Event) -> None:
    """Keep the largest PSS of a process and its descendants, and the largest RSS of one of them, in `peaks`."""
    while not is_done.wait(0.2):
        try:
            pids = list_processes(pid)
        except OSError:  # one has exited
            continue
        peaks[0] = max(peaks[0], sum(read_megabytes(process, "smaps_rollup", "Pss") for process in pids))
        peaks[1] = max(peaks[1], *(read_megabytes(process, "status", "VmRSS") for process in pids))


def measure(command: list[str], folder: Path, tree: Path, is_cold: bool, _: int) -> FirstEpoch:
    """Run a command, and return what its first epoch took.

    Args:
        command: The command; it prints a line that starts with "epoch 1/1".
        folder: Working directory, which also contains the photographs and the caches.
        tree: Working tree whose package is imported.
        is_cold: Whether to delete the caches first.

    Raises:
        CalledProcessError: The command fails.
    """
    if is_cold:
        for cache in (folder / "photographs/.cache", folder / "caches"):  # until version 0.2, it was under the root
            shutil.rmtree(cache, ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(tree), "XDG_CACHE_HOME": str(folder / "caches")}
    peaks, is_done, seconds = [0.0, 0.0], threading.Event(), None
    before, start = os.times(), time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        watcher = threading.Thread(target=watch_memory, args=(process.pid, peaks, is_done))
        watcher.start()
        for line in process.stdout or ():
            if line.startswith("epoch 1/1"):
                seconds = time.perf_counter() - start
        is_done.set()
        watcher.join()
    if process.returncode or seconds is None:
        raise subprocess.CalledProcessError(process.returncode, command)
    after = os.times()
    cpu_seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return FirstEpoch(seconds, cpu_seconds, *peaks)


def run() -> None:
    """Print one row per variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=13_000)
    parser.add_argument("--base", type=Path, help="working tree of another version to compare with")
    parser.add_argument("--model", default="CNN")
    parser.add_argument("--image_size", type=int, default=64, help="of the network, to which the files are resized")
    parser.add_argument("--cold", action="store_true", help="leave out the runs that find a cache")
    options = parser.parse_args()
    fit = [
        *CLASSIFIER,
        "fit",
        "--data=ImageFolder",
        "--data.root=photographs",
        f"--data.image_size={options.image_size}",
    ]
    fit += [f"--model={options.model}", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    workers = str(len(os.sched_getaffinity(0)))
    plain = [sys.executable, str(Path(__file__).with_name("plain_script.py")), "photographs", workers]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photographs(folder / "photographs", options.files)
        # The script starts without caches, because torchvision would take one under the root for a class.
        variants = {PLAIN: partial(measure, plain, folder, REPOSITORY, True)}
        for label, tree in (("fit", REPOSITORY), ("fit of the base", options.base and options.base.absolute())):
            if tree:
                variants[f"{label}, no cache"] = partial(measure, fit, folder, tree, True)
                if not options.cold:
                    variants[f"{label}, cached"] = partial(measure, fit, folder, tree, False)
        costs = run_alternately(variants, options.rounds, warm_up=False)
    print("| variant | seconds | / script | CPU seconds | / script | tree MB | / script | main MB | / script |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for variant in variants:
        cells = [variant]
        for field in FirstEpoch._fields:
            ratio = get_median_ratio(costs, variant, PLAIN, field)
            cells += [f"{get_median(costs, variant, field):.1f}", f"{ratio:.3f}"]
        print(f"| {' | '.join(cells)} |")
    what = f"{options.model}, {options.image_size} pixels, {options.files:,} files"
    print(f"\n{what}, {workers} CPU cores, {options.rounds} rounds")


if __name__ == "__main__":
    run()
