"""Two runs on the same images: matching of the images, McNemar's exact test, and the difference's interval."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

# scipy.stats takes another 0.5 s to import.
from scipy.special import bdtr

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.intervals import UNDEFINED, Interval, wilson

ImageKey = tuple[str, str, int]


@dataclass(frozen=True)
class PairedCounts:
    """Numbers of images that both of two runs, only the first, only the second, or neither classifies correctly."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def num_images(self) -> int:
        """Number of images."""
        return self.both + self.only_first + self.only_second + self.neither


def count_pairs(first: np.ndarray, second: np.ndarray) -> PairedCounts:
    """Return the counts of two bool masks (N,) of correct predictions of the same images."""
    counts = np.bincount(2 * first.astype(np.int64) + second, minlength=4).tolist()
    return PairedCounts(both=counts[3], only_first=counts[2], only_second=counts[1], neither=counts[0])


def compute_mcnemar(counts: PairedCounts) -> float:
    """Return the p value of McNemar's exact test, two-sided.

    If the runs are equally good, each image that only one of them classifies correctly is as likely to be one of the
    first run as one of the second.
    """
    total = counts.only_first + counts.only_second
    return min(1.0, 2 * float(bdtr(min(counts.only_first, counts.only_second), total, 0.5)))


def paired_difference(counts: PairedCounts) -> Interval:
    """Return the accuracy of the second run minus that of the first, with Newcombe's hybrid score interval.

    It is method 10 of Newcombe (1998), "Improved confidence intervals for the difference between binomial proportions
    based on paired data", Statistics in Medicine 17. Without images, everything is NaN.
    """
    total = counts.num_images
    if total == 0:
        return UNDEFINED
    value = (counts.only_second - counts.only_first) / total
    first = wilson(counts.both + counts.only_first, total)
    second = wilson(counts.both + counts.only_second, total)
    phi = correlate(counts)
    below = add_errors(second.value - second.low, first.high - first.value, phi)
    above = add_errors(second.high - second.value, first.value - first.low, phi)
    return Interval(value, max(value - below, -1.0), min(value + above, 1.0))


def correlate(counts: PairedCounts) -> float:
    """Return the correlation between the correctness of two runs, with Newcombe's correction towards 0."""
    agreeing: float = counts.both * counts.neither - counts.only_first * counts.only_second
    if agreeing > 0:
        agreeing = max(agreeing - counts.num_images / 2, 0)
    correct = (counts.both + counts.only_first, counts.both + counts.only_second)
    product = math.prod(correct) * math.prod(counts.num_images - number for number in correct)
    return agreeing / math.sqrt(product) if product else 0.0


def add_errors(one: float, other: float, phi: float) -> float:
    """Return the error of the difference of two values with given errors and correlation."""
    return math.sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0))


def identify_images(results: ImageResults) -> list[ImageKey]:
    """Return name, true class and repetition of every image; the same images have these in common in all runs."""
    seen: Counter[tuple[str, str]] = Counter()
    keys = []
    for name, label in zip(results.names, results.labels.tolist(), strict=True):
        image = (name, results.class_names[label])
        keys.append((*image, seen[image]))
        seen[image] += 1
    return keys


def match_images(first: list[ImageKey], second: list[ImageKey]) -> np.ndarray | None:
    """Return the row numbers of the first run's images in the second run, int64 (N,), or None if the images differ.

    Args:
        first: Images of the first run, see `identify_images`.
        second: Those of the second run; they may have another order.
    """
    if first == second:
        return np.arange(len(first))
    rows = {key: row for row, key in enumerate(second)}
    if len(first) != len(second) or not rows.keys() >= set(first):
        return None
    return np.array([rows[key] for key in first], dtype=np.int64)


def describe_mismatch(names: tuple[str, str], first: list[ImageKey], second: list[ImageKey]) -> str:
    """Return in one line how the images of two runs differ."""
    common = len(set(first) & set(second))
    relabelled = len({key[0] for key in first} & {key[0] for key in second}) - len(
        {key[0] for key in set(first) & set(second)}
    )
    text = (
        f"{names[0]} and {names[1]} are not compared, because they were evaluated on different images: "
        f"{len(first):,} and {len(second):,}, of which {common:,} are in common"
    )
    return text + (f"; {relabelled:,} have the same name but another true class" if relabelled else "")
