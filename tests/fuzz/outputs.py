"""Run `predict`, `test` and `export` on a disk that is full, read-only or limited, and check the files that they leave.

    python tests/fuzz/outputs.py --count 100 --seed 0

A command fails at one of its operations on files, as in `faults.py`, or when a file exceeds a size that is drawn at
random, which the system enforces (RLIMIT_FSIZE), also for what PyTorch writes in C++. It must end with one line and
status 1, and leave either the file that was there before or a complete new one. The exit status is 1 if something
broke.
"""

import argparse
import random
import resource
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.faults import run_with_fault
from helpers.processes import SERVER, run_as_program

FIT = ("fit", "--config=digits", "--pictures=false", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2")
COMMANDS = {
    "predictions.csv": ("predict", "images", "--output=predictions.csv"),
    "scores.csv": ("test", "--output=scores.csv"),
    "model.pth": ("export", "--output=model.pth"),
    "model.pt2": ("export", "--output=model.pt2"),
    "model.onnx": ("export", "--output=model.onnx"),
}
EFFECTS = ("full", "full once", "read-only", "interrupt", "kill")
STATUSES = {"interrupt": 130, "kill": 137}
OLD = b"the file of an earlier command"
SMALLEST = 4096  # bytes; the program's standard output is a file that must not exceed the limit, either


class Result(NamedTuple):
    """Exit status of a command, its lines on stderr, and the content of its output file."""

    status: int
    lines: list[str]
    content: bytes


def run_with_limit(args: tuple[str, ...], folder: Path, size: int) -> None:
    """Behave like `python -m classifier ARGS` in a folder, with files of at most `size` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    run_as_program(args, folder)


def execute(folder: Path, output: str, target, *target_args) -> Result:
    """Run the command that writes a file, in a folder in which a file of that name exists."""
    for left in folder.glob(".unfinished-*"):
        shutil.rmtree(left)
    (folder / output).write_bytes(OLD)
    process = SERVER.Process(target=target, args=(COMMANDS[output], folder, *target_args))
    process.start()
    process.join()
    return Result(process.exitcode, (folder / "err").read_text().splitlines(), (folder / output).read_bytes())


def find_faults(folder: Path, output: str, result: Result, effect: str, expected: Result) -> list[str]:
    """Return one line per fault in the result of a command that could not write."""
    faults = []
    if result.status not in (STATUSES.get(effect, 1), 0):
        faults.append(f"status {result.status}")
    if result.status == 1 and len(result.lines) != 1:
        faults.append(f"{len(result.lines)} lines: {result.lines[-1:]}")
    if result.status == 1 and not any(output in line for line in result.lines):
        faults.append(f"the message does not name the file: {result.lines[-1:]}")
    is_complete = len(result.content) == len(expected.content) if result.content != OLD else result.status != 0
    if not is_complete:
        faults.append(
            f"status {result.status}, but {output} has {len(result.content)} of {len(expected.content)} bytes"
        )
    leftovers = [path.name for path in folder.glob(".unfinished-*")]
    if leftovers and effect not in ("kill", "read-only", "interrupt"):
        faults.append(f"{leftovers} left")
    return faults


def list_cases(folder: Path, output: str, expected: Result) -> list[tuple[str, int]]:
    """Return all faults to try on a command: an effect and the number of an operation, or "limit" and a size."""
    execute(folder, output, run_with_fault, None, "kill", folder.with_suffix(".report"))
    operations = len(folder.with_suffix(".report").read_text().splitlines())
    cases = [(effect, number) for number in range(operations) for effect in EFFECTS]
    sizes = range(SMALLEST, len(expected.content), max(1, (len(expected.content) - SMALLEST) // 20))
    return cases + [("limit", size) for size in sizes]


def run() -> None:
    """Run the cases, print each that breaks, and exit with status 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="faults per command, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--outputs", default=",".join(COMMANDS))
    options = parser.parse_args()
    tried, broken = Counter(), Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "folder")
        (folder / "images").mkdir(parents=True)
        for i in range(50):
            pixels = np.random.default_rng(i).integers(0, 255, (8, 8)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
        training = SERVER.Process(target=run_as_program, args=(FIT, folder))
        training.start()
        training.join()
        for output in options.outputs.split(","):
            expected = execute(folder, output, run_as_program)
            cases = list_cases(folder, output, expected)
            chosen = random.Random(options.seed).sample(cases, min(options.count, len(cases)))  # noqa: S311
            for effect, number in sorted(chosen):
                if effect == "limit":
                    result = execute(folder, output, run_with_limit, number)
                else:
                    report = folder.with_suffix(".report")
                    result = execute(folder, output, run_with_fault, number, effect, report)
                faults = find_faults(folder, output, result, effect, expected)
                tried[output] += 1
                broken[output] += bool(faults)
                if faults:
                    print(f"{output}: {effect} {number}", *(fault[:300] for fault in faults), sep="\n    ", flush=True)
    for output in tried:
        print(f"{output}: {tried[output]} tried, {broken[output]} broken")
    sys.exit(bool(broken.total()))


if __name__ == "__main__":
    run()
