"""The command line of fuzzers."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable


def run_fuzzer(
    description: str | None, fuzz: Callable[[int, int, int], tuple[Counter, list[str]]], count: int, unit: str = "cases"
) -> None:
    """Run a fuzzer with the options of the command line, print what was tried and what broke, and exit.

    Args:
        description: Text of the help.
        fuzz: Function of the number of cases, the seed and the number of the first case. It returns the number of cases
            by result, and one description per fault.
        count: Default number of cases.
        unit: What is counted by result.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=count)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    arguments = parser.parse_args()
    tried, faults = fuzz(arguments.count, arguments.seed, arguments.first)
    print(f"{tried.total():,} {unit}: {', '.join(f'{kind} {number}' for kind, number in sorted(tried.items()))}")
    print(f"{len(faults)} faults", *faults, sep="\n")
    sys.exit(bool(faults))
