"""Measure the CPU time of short commands relative to the import that no Lightning CLI can avoid.

    python tests/benchmarks/startup.py --rounds 5

CPU time is user and system time of the whole process, all threads included. The commands alternate within each round;
a ratio is the median over the rounds of the ratio to `import lightning.pytorch.cli` in the same round.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path

from comparison import get_median, get_median_ratio, run_alternately
from PIL import Image
from process_cost import CLASSIFIER, IMPORT, measure_process

# Command line and expected exit status. The warm-up runs them in this order: fit writes the checkpoint for predict.
COMMANDS = {
    "import lightning.pytorch.cli": (IMPORT, 0),
    "--help": ([*CLASSIFIER, "--help"], 0),
    "fti (mistyped)": ([*CLASSIFIER, "fti"], 2),
    "fit --config digits": ([*CLASSIFIER, "fit", "--config=digits", "--trainer.accelerator=cpu"], 0),
    "predict, 1 image": ([*CLASSIFIER, "predict", "image.png", "--accelerator=cpu"], 0),
}


def run() -> None:
    """Print one row per command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    reference = next(iter(COMMANDS))
    with tempfile.TemporaryDirectory() as folder:
        Image.new("L", (8, 8)).save(Path(folder, "image.png"))

        def measure(name: str, _: int):
            command, status = COMMANDS[name]
            return measure_process(command, folder, status)

        costs = run_alternately({name: partial(measure, name) for name in COMMANDS}, rounds)
    print("| command | CPU seconds | CPU seconds / import |\n| --- | --- | --- |")
    for name in COMMANDS:
        ratio = get_median_ratio(costs, name, reference, "cpu_seconds")
        print(f"| {name} | {get_median(costs, name, 'cpu_seconds'):.2f} | {ratio:.3f} |")
    print(f"\n{os.cpu_count()} CPU cores, {rounds} rounds")


if __name__ == "__main__":
    run()
