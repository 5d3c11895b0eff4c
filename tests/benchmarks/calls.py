"""Count the Python function calls in a training step of the recipes fashion_mnist and cifar10.

    python tests/benchmarks/calls.py --root data
    python tests/benchmarks/calls.py --root data --top 20

Unlike seconds, calls can be compared across machines, and two counts agree almost exactly. The command line trains for
one epoch of K steps and one of 3 K steps; the difference of their calls, divided by 2 K, excludes what a run does once.
Needs the files of FashionMNIST and CIFAR10 under the root.
"""

import argparse
import contextlib
import io
import sys
import sysconfig
import tempfile
from collections import Counter
from pathlib import Path

from classifier.cli.main import main

RECIPES = ("fashion_mnist", "cifar10")
REPOSITORY = Path(__file__).parents[2]
WARM_UP_STEPS = 10


def count_calls(recipe: str, root: str, steps: int) -> Counter[tuple[str, str]]:
    """Train a recipe for a number of steps, and return how often every Python function was called.

    Returns:
        Numbers of calls by file and name of the function; functions written in C are not counted.
    """
    calls: Counter[tuple[str, str]] = Counter()

    def profile(frame, event, _):
        if event == "call":
            calls[frame.f_code.co_filename, frame.f_code.co_name] += 1

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        options = {
            "data.root": Path(root).resolve(),
            "pictures": "false",
            "trainer.accelerator": "cpu",
            "trainer.default_root_dir": folder,
            "trainer.max_epochs": 1,
            "trainer.limit_val_batches": 0,
            "trainer.limit_train_batches": steps,
        }
        argv = ["fit", f"--config={recipe}", *(f"--{name}={value}" for name, value in options.items())]
        sys.setprofile(profile)
        try:
            main(argv)
        finally:
            sys.setprofile(None)
    return calls


def count_calls_per_step(recipe: str, root: str, steps: int) -> dict[tuple[str, str], float]:
    """Return the number of calls of every Python function per training step, most frequent functions first."""
    count_calls(recipe, root, WARM_UP_STEPS)  # imports, and fills caches
    fewer, more = (count_calls(recipe, root, number) for number in (steps, 3 * steps))
    per_step = {function: (count - fewer[function]) / (2 * steps) for function, count in more.items()}
    return dict(sorted(per_step.items(), key=lambda item: -item[1]))


def shorten_path(path: str) -> str:
    """Return the path of a source file relative to the repository, the installed packages or Python's library."""
    for folder in (REPOSITORY, *(sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib"))):
        path = path.removeprefix(f"{folder}/")
    return path


def run() -> None:
    """Print the number of calls per step of every recipe and, if asked for, the functions called most often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data")
    parser.add_argument(
        "--steps",
        type=int,
        default=128,
        help="K; a multiple of 64, because training metrics are computed every 64 batches",
    )
    parser.add_argument("--top", type=int, default=0, metavar="N", help="list the N functions called most often")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    options = parser.parse_args()
    for recipe in options.recipes:
        calls = count_calls_per_step(recipe, options.root, options.steps)
        print(f"{recipe}: {sum(calls.values()):.1f} calls per training step", flush=True)
        for (path, name), count in list(calls.items())[: options.top]:
            print(f"  {count:7.2f}  {name}  ({shorten_path(path)})")


if __name__ == "__main__":
    run()
