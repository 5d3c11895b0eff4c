"""What is wrong with a dataset: leaks, conflicting labels, and classes that are too small."""

from dataclasses import dataclass

import numpy as np

from classifier.analysis.inspection import Inspection
from classifier.data.own_images.repeats import find_groups

MIN_IMAGES = 3  # of a class, so that it can have training, validation and test images
Pair = tuple[int, int]


@dataclass
class Findings:
    """Findings about the images of an inspection, by their indices. Pairs are in the order of the images.

    Args:
        groups: Groups of images that are the same pixel for pixel.
        near: Pairs of near duplicates.
        leaks: Validation and test images that are also in the training set, with the first such training image.
        near_leaks: Those that have only near duplicates in the training set, with one of them.
        conflicts: Images that are the same pixel for pixel, and have different labels: one pair per group.
        near_conflicts: Near duplicates with different labels.
        small_classes: Number of images of every class that has fewer than `MIN_IMAGES`, or none in one of the splits;
            the smallest class first.
        missing: Splits in which a class has no image, for every class for which there are such splits.
    """

    groups: list[list[int]]
    near: list[Pair]
    leaks: list[Pair]
    near_leaks: list[Pair]
    conflicts: list[Pair]
    near_conflicts: list[Pair]
    small_classes: dict[str, int]
    missing: dict[str, list[str]]


def count_images(inspection: Inspection) -> dict[str, list[int]]:
    """Return the number of readable images of every class in the order of the labels, by split.

    Args:
        inspection: What is known of a dataset, as `inspect_data` returns it.
    """
    num_classes = len(inspection.class_names)
    return {
        split: np.bincount(inspection.labels[inspection.splits == split], minlength=num_classes).tolist()
        for split in inspection.sources
    }


def find_problems(inspection: Inspection) -> Findings:
    """Return what is wrong with the images of a dataset.

    Args:
        inspection: What is known of the dataset, as `inspect_data` returns it.

    Returns:
        The findings, in which images are named by their indices in `inspection`.
    """
    labels, splits = inspection.labels.tolist(), inspection.splits.tolist()
    groups = [group.tolist() for group in find_groups(inspection.hashes)]
    near = [(int(a), int(b)) for a, b in inspection.near]
    members = {group[0]: group for group in groups}
    in_training = {
        index: next((i for i in members.get(index, [index]) if splits[i] == "train"), None)
        for index in {index for pair in [*near, *((group[0],) for group in groups)] for index in pair}
    }
    leaks: list[Pair] = []
    for group in groups:
        trained = in_training[group[0]]
        if trained is not None:
            leaks += [(index, trained) for index in group if splits[index] != "train"]
    near_leaks: dict[int, int] = {}
    for pair in near:
        for one, other in (pair, pair[::-1]):
            trained = in_training[other]
            if in_training[one] is None and trained is not None:
                for index in members.get(one, [one]):
                    near_leaks.setdefault(index, trained)
    conflicts = []
    for group in groups:
        if relabelled := [index for index in group if labels[index] != labels[group[0]]]:
            conflicts.append((group[0], relabelled[0]))
    small, missing = find_small_classes(inspection)
    return Findings(
        groups,
        near,
        sorted(leaks),
        sorted(near_leaks.items()),
        conflicts,
        [pair for pair in near if labels[pair[0]] != labels[pair[1]]],
        small,
        missing,
    )


def find_small_classes(inspection: Inspection) -> tuple[dict[str, int], dict[str, list[str]]]:
    """Return the classes with too few images, and the splits in which classes have none; see `Findings`.

    Args:
        inspection: What is known of a dataset.

    Returns:
        The values of `small_classes` and `missing` of `Findings`.
    """
    counts = count_images(inspection)
    totals = np.sum(list(counts.values()), axis=0) if counts else np.zeros(len(inspection.class_names), np.int64)
    missing = {}
    for label, name in enumerate(inspection.class_names):
        if empty := [split for split, numbers in counts.items() if not numbers[label]]:
            missing[name] = empty
    names = inspection.class_names
    small = [label for label, name in enumerate(names) if totals[label] < MIN_IMAGES or name in missing]
    return {names[label]: int(totals[label]) for label in sorted(small, key=lambda label: int(totals[label]))}, missing
