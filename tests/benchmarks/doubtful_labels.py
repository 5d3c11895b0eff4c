"""Precision and recall of `find_doubtful_labels`, compared with other rules, on real results with changed labels.

    python -m classifier test --ckpt_path tutorial_fashion_mnist --output mlp.csv
    python tests/benchmarks/doubtful_labels.py mlp.csv

Every argument is a file with the results of one network. A fraction of the labels is changed at random, to any other
class ("1%", "5%") or to the class that is most similar to it on average ("5% similar"). For each rule, the mean over 10
seeds is printed: the number of labels listed, the fraction of these that were changed (precision), and the fraction of
the changed ones that are listed (recall). "unchanged" is the number listed if no label is changed.
"""

import argparse
import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.notable_images import find_doubtful_labels

NUM_SEEDS = 10
Rule = Callable[[ImageResults], np.ndarray]
CHANGES = {"1%": (0.01, False), "5%": (0.05, False), "5% similar": (0.05, True)}


def read_results(path: Path) -> ImageResults:
    """Return the results in a file that `test --output` wrote."""
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    first = header.index("trained_on" if "trained_on" in header else "predicted") + 1
    class_names = header[first:]
    labels, predictions = ([class_names.index(row[column]) for row in rows] for column in (1, 2))
    results = ImageResults(
        class_names=tuple(class_names),
        names=tuple(row[0] for row in rows),
        indices=np.arange(len(rows)),
        labels=np.array(labels),
        predictions=np.array(predictions),
        losses=np.zeros(len(rows)),
        probabilities=np.array([row[first:] for row in rows], dtype=np.float32),
    )
    return change_labels(results, results.labels)


def change_labels(results: ImageResults, labels: np.ndarray) -> ImageResults:
    """Return the results with other labels (N,)."""
    own = results.probabilities[np.arange(len(labels)), labels]
    return replace(results, labels=labels, losses=-np.log(np.maximum(own, np.finfo(np.float32).tiny), dtype=np.float64))


def draw_labels(results: ImageResults, fraction: float, similar: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) of which a fraction is changed, and the row numbers of the changed ones."""
    generator, num_classes = np.random.default_rng(seed), len(results.class_names)
    labels = results.labels.copy()
    rows = generator.choice(len(labels), max(1, round(fraction * len(labels))), replace=False)
    if similar:
        sums = np.stack([results.probabilities[labels == label].sum(axis=0) for label in range(num_classes)])
        np.fill_diagonal(sums, -1)
        labels[rows] = sums.argmax(axis=1)[labels[rows]]
    else:
        labels[rows] = (labels[rows] + generator.integers(1, num_classes, len(rows))) % num_classes
    return labels, rows


def find_confident_errors(results: ImageResults) -> np.ndarray:
    """Return the row numbers of the errors with a probability of at least 0.9."""
    return np.flatnonzero(~results.correct & (results.probabilities.max(axis=1) >= 0.9))


def find_off_diagonal(results: ImageResults) -> np.ndarray:
    """Return the row numbers off the diagonal of the confident joint of confident learning (Northcutt et al., 2021)."""
    thresholds = [results.probabilities[results.labels == label, label] for label in range(len(results.class_names))]
    means = np.array([values.mean() if len(values) else 2 for values in thresholds])
    candidates = np.where(results.probabilities >= means, results.probabilities, -1)
    return np.flatnonzero((candidates.max(axis=1) >= 0) & (candidates.argmax(axis=1) != results.labels))


RULES: dict[str, Rule] = {
    "find_doubtful_labels": find_doubtful_labels,
    "confident learning": find_off_diagonal,
    "errors with 90%": find_confident_errors,
}


def measure(rule: Rule, results: ImageResults, fraction: float, similar: bool) -> str:
    """Return the number of labels that a rule lists, its precision and its recall."""
    num_listed, num_found, num_changed = 0, 0, 0
    for seed in range(NUM_SEEDS):
        labels, rows = draw_labels(results, fraction, similar, seed)
        listed = rule(change_labels(results, labels))
        num_listed += len(listed)
        num_found += len(np.intersect1d(listed, rows))
        num_changed += len(rows)
    precision = f"{num_found / num_listed:.0%}" if num_listed else "-"
    return f"{num_listed / NUM_SEEDS:6.1f} {precision:>9} {num_found / num_changed:6.0%}"


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="CSV file written by test --output.")
    for path in parser.parse_args().files:
        results = read_results(path)
        print(f"\n{path}: {len(results):,} images, accuracy {results.correct.mean():.1%}")
        print("  ".join([f"{'':20} {'unchanged':>9}", *(f"{name:>23}" for name in CHANGES)]))
        print("  ".join([f"{'':20} {'listed':>9}", *["listed precision recall"] * len(CHANGES)]))
        for name, rule in RULES.items():
            cells = [measure(rule, results, *change) for change in CHANGES.values()]
            print("  ".join([f"{name:20} {len(rule(results)):9}", *cells]))


if __name__ == "__main__":
    main()
