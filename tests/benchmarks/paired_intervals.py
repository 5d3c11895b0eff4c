"""Coverage of the interval of a paired difference, and false alarms of McNemar's exact test, by simulation.

    python tests/benchmarks/paired_intervals.py --count 20000

Every row is one distribution of images over "both correct", "only first", "only second" and "neither".
"""

import argparse

import numpy as np

from classifier.analysis.results.paired import PairedCounts, compute_mcnemar, paired_difference

# Number of images, accuracy of the second run, fraction of images that only the first or the second gets right.
CASES = [
    (50, 0.9, 0.05, 0.05),
    (50, 0.8, 0.05, 0.15),
    (360, 0.97, 0.01, 0.01),
    (360, 0.97, 0.005, 0.02),
    (1000, 0.9, 0.03, 0.03),
    (1000, 0.9, 0.03, 0.05),
    (10_000, 0.55, 0.1, 0.1),
    (10_000, 0.87, 0.03, 0.04),
]


def simulate(case: tuple[int, float, float, float], count: int, random: np.random.Generator) -> tuple[float, float]:
    """Return the fraction of simulated tables whose interval contains the true difference, and with p <= 5%."""
    num_images, accuracy, only_first, only_second = case
    both = accuracy - only_second
    probabilities = [both, only_first, only_second, 1 - both - only_first - only_second]
    covered = significant = 0
    for table in random.multinomial(num_images, probabilities, count).tolist():
        counts = PairedCounts(*table)
        difference = paired_difference(counts)
        covered += difference.low <= only_second - only_first <= difference.high
        significant += compute_mcnemar(counts) <= 0.05
    return covered / count, significant / count


def main() -> None:
    """Print one line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="number of simulated tables per case")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    print("images  accuracy  only first  only second  coverage  p <= 5%")
    for case in CASES:
        coverage, significant = simulate(case, arguments.count, random)
        num_images, accuracy, first, second = case
        print(f"{num_images:6,}  {accuracy:8.1%}  {first:10.1%}  {second:11.1%}  {coverage:8.1%}  {significant:7.1%}")


if __name__ == "__main__":
    main()
