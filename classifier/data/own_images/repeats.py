"""Images that occur more than once, pixel for pixel: in two splits, or with two labels."""

from collections.abc import Callable, Sequence

import numpy as np

from classifier.errors import make_printable

NAMES = {"train": "training", "val": "validation", "test": "test"}
MAX_NAMES = 10  # of classes in a message


def find_groups(hashes: np.ndarray) -> list[np.ndarray]:
    """Return the indices of the images of every group with the same hash, in the order of their first images.

    Args:
        hashes: Content hashes (N,), int64.

    Returns:
        One int64 array with two or more increasing indices for every hash that occurs more than once.
    """
    values, counts = np.unique(hashes, return_counts=True)
    repeated = np.flatnonzero(np.isin(hashes, values[counts > 1]))
    order = repeated[np.argsort(hashes[repeated], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(hashes[order])) + 1)
    return sorted((group for group in groups if len(group)), key=lambda group: int(group[0]))


def describe_repeats(
    hashes: np.ndarray,
    labels: np.ndarray,
    splits: np.ndarray,
    class_names: Sequence[str],
    get_name: Callable[[int], str],
) -> list[str]:
    """Return one line about images that are in the training set and in another split, and one about conflicting labels.

    Args:
        hashes: Content hashes (N,), int64.
        labels: Class indices (N,), int64.
        splits: "train", "val" or "test" for every image (N,).
        class_names: Names of the classes.
        get_name: Function that returns the name of an image, by its index.

    Returns:
        Lines such as "3 test images are also in the training set ..."; an empty list if there are no such images.
    """
    groups = find_groups(hashes)
    lines: list[str] = []
    leaked: dict[str, list[tuple[int, int]]] = {"val": [], "test": []}
    for group in groups:
        in_training = group[splits[group] == "train"]
        for index in group[splits[group] != "train"].tolist() if len(in_training) else ():
            leaked[str(splits[index])].append((index, int(in_training[0])))
    if pairs := [pair for split in leaked.values() for pair in split]:
        counts = " and ".join(f"{len(found):,} {NAMES[split]}" for split, found in leaked.items() if found)
        first, second = (make_printable(get_name(index)) for index in pairs[0])
        verb = "image is" if len(pairs) == 1 else "images are"
        lines.append(f"{counts} {verb} also in the training set, pixel for pixel, such as {first} ({second})")
    if conflicts := [group for group in groups if (labels[group] != labels[group[0]]).any()]:
        group = conflicts[0]
        pair = (int(group[0]), int(group[labels[group] != labels[group[0]]][0]))
        shown = " and ".join(f"{make_printable(get_name(i))} ({class_names[int(labels[i])]})" for i in pair)
        verb = "image has" if len(conflicts) == 1 else "images have"
        lines.append(f"{len(conflicts):,} {verb} conflicting labels, such as {shown}")
    return lines


def describe_lost_classes(
    labels: np.ndarray, splits: np.ndarray, all_labels: np.ndarray, all_splits: np.ndarray, class_names: Sequence[str]
) -> list[str]:
    """Return one line for every split in which no image of a class can be read.

    Args:
        labels: Class indices of the readable images (N,), int64.
        splits: "train", "val" or "test" for every readable image (N,).
        all_labels: Class indices of all files (M,), int64.
        all_splits: The same for every file (M,).
        class_names: Names of the classes.
    """
    lines = []
    for split in NAMES:
        lost = set(all_labels[all_splits == split].tolist()) - set(labels[splits == split].tolist())
        if lost:
            names = ", ".join(class_names[label] for label in sorted(lost)[:MAX_NAMES])
            lines.append(f"no {NAMES[split]} image of these classes can be read: {names}")
    return lines
