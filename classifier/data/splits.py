"""Split labelled images into training, validation and test sets."""

import hashlib
import math
import re
from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from classifier.data.group_splits import TOP, hold_out_groups
from classifier.errors import SettingError

Amount: TypeAlias = int | float | Literal["all"]  # a number of images, a fraction of them, or all
DEFAULT_TEST_SPLIT = 0.2

SPLITS = ("train", "val", "test")
# Names of the three sets in public datasets, in lower case.
VARIANTS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "tests", "testing", "tst"), "test"),
}
SUFFIXES = ("set", "data", "images", "split")
NAME = re.compile(rf"({'|'.join(VARIANTS)})[\s_.-]*({'|'.join(SUFFIXES)})?[\s_.-]*\d*")
# Words in the names of folders that are parts of a dataset, but not of a known split.
UNCLEAR = ("eval", "evaluation", "fold", "holdout", "split", "trainval")


def find_split(name: str) -> str | None:
    """Return "train", "val" or "test" for a usual name of such a set, in upper or lower case, otherwise None.

    Args:
        name: Name of a folder, or a value in a table, such as "Validation", "test_set" or "train2017".
    """
    match = NAME.fullmatch(name.strip().casefold())
    return VARIANTS[match[1]] if match else None


def looks_like_split(name: str) -> bool:
    """Return whether a name is that of a split, or contains one as a word, as "seg_train", "trainA" and "fold1" do."""
    words = re.split(r"[\W_\d]+|(?<=[a-z])(?=[A-Z])", name)
    known = (*VARIANTS, *UNCLEAR)
    return find_split(name) is not None or any(word.casefold() in known for word in words)


def list_splits(given: Collection[str], test_split: Amount | None, val_split: Amount) -> tuple[str, ...]:
    """Return the splits that `assign_splits` fills, in the order of `SPLITS`.

    Args:
        given: The splits that images are assigned to by the user; "" for images that are not.
        test_split: See `assign_splits`.
        val_split: See `assign_splits`.
    """
    if test_split == "all":
        return ("test",)
    found = {split or "train" for split in given}
    if "train" in found:
        found |= {"test"} if get_test_split(given, test_split) else set()
        found |= {"val"} if val_split else set()
    return tuple(split for split in SPLITS if split in found)


def get_test_split(given: Collection[str], test_split: Amount | None) -> Amount:
    """Return the amount of test images to hold out; 0 if there are test images, or None is given and there are others.

    Args:
        given: The splits that images are assigned to by the user; "" for images that are not.
        test_split: The amount that the user asks for, or None for the default.
    """
    if "test" in given:
        return 0
    return (0 if "val" in given else DEFAULT_TEST_SPLIT) if test_split is None else test_split


def assign_splits(
    given: Sequence[str],
    labels: np.ndarray,
    keys: Sequence[str],
    test_split: Amount | None,
    val_split: Amount,
    class_names: Sequence[str],
) -> np.ndarray:
    """Return the split of every image: that which the user has given, or "test" and "val" for those held out.

    Args:
        given: Split of each of N images: "train", "val", "test", or "" for images to be split.
        labels: Class indices (N,), int64.
        keys: Text for every image that alone decides whether it is held out: its name, or that of its group.
        test_split: Number or fraction of the training images that becomes the test set, if none is given. "all" makes
            all images test images. None is a fifth, or none if validation images are given.
        val_split: Number or fraction of the remaining training images that becomes the validation set.
        class_names: Names of the classes, for error messages.

    Returns:
        An array (N,) of "train", "val" and "test".

    Raises:
        SettingError: A class would be left without an image.
    """
    splits = np.array([split or "train" for split in given], dtype="<U5")
    if test_split == "all":
        splits[:] = "test"
        return splits
    for split, amount in (("test", get_test_split(given, test_split)), ("val", val_split)):
        pool = np.flatnonzero(splits == "train")
        if amount and len(pool):
            positions = get_positions([keys[i] for i in pool.tolist()], split)
            keep = 2 if split == "test" and val_split else 1  # one of them becomes a validation image
            chosen = hold_out(labels[pool], positions, amount, f"{split}_split", class_names, keep)
            splits[pool[chosen]] = split
    return splits


def get_positions(keys: Sequence[str], salt: str) -> np.ndarray:
    """Return a pseudo-random position for every key, which depends on that key only.

    Args:
        keys: Names of N images, or of the groups that they belong to.
        salt: Text that makes the positions for one purpose independent of those for another.

    Returns:
        An int64 array (N,) of values from 0 to below 2^63, uniformly distributed.
    """
    prefix = salt.encode() + b"\0"
    digests = [hashlib.blake2b(prefix + key.encode(errors="surrogatepass"), digest_size=8).digest() for key in keys]
    return (np.frombuffer(b"".join(digests), dtype="<u8") >> np.uint64(1)).astype(np.int64)


def hold_out(
    labels: np.ndarray, positions: np.ndarray, amount: Amount, option: str, class_names: Sequence[str], keep: int = 1
) -> np.ndarray:
    """Choose images to hold out, so that every class with images has at least one image on each side.

    The images with the lowest positions are chosen. With a fraction, these are the images below the same fraction of
    all positions. Each image is therefore held out with this probability, independently of all other images, unless its
    class would be missing on one side. With a number, exactly this number is chosen, in proportion to the classes.

    Args:
        labels: Class indices (N,), int64.
        positions: Positions (N,) from `get_positions`, int64. Images with the same position are a group, which stays
            together; the number of images is then as near to `amount` as the sizes of the groups allow.
        amount: A number of images (int), or a fraction above 0 and below 1 (float).
        option: Name of the option that sets the amount, for the error message.
        class_names: Names of the classes, for the error message.
        keep: Number of images of every class, or of groups that contain some, that are not chosen, if the class has
            more than these; at least 1.

    Returns:
        A bool mask (N,) of the chosen images.

    Raises:
        SettingError: A class would be left without an image on one side.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    if (counts == 1).any():
        name = class_names[int((counts == 1).argmax())]
        raise SettingError(f"{option} {amount} is not possible, because the class {name!r} has only one file to split")
    present = counts > 0
    most = np.maximum(counts - keep, 1) * present
    if isinstance(amount, int) and not present.sum() <= amount <= most.sum():
        raise SettingError(
            f"{option} must be from {present.sum():,} to {most.sum():,}, so that each of the {present.sum():,} classes "
            f"has an image on both sides, not {amount:,}"
        )
    if len(np.unique(positions)) < len(positions):
        number = amount if isinstance(amount, int) else float(amount)
        chosen, impossible = hold_out_groups(labels, positions, number, len(class_names), keep)
        if impossible is not None:
            raise SettingError(
                f"{option} {amount}: no choice of whole groups was found that has images of the class "
                f"{class_names[impossible]!r} on both sides; divide one of its groups, or use another amount"
            )
        return chosen
    if isinstance(amount, int):
        quotas = _allocate(counts, most, amount)
    else:
        below = np.bincount(labels[positions < int(float(amount) * TOP)], minlength=len(counts))
        quotas = np.clip(below, present, most)
    order = np.lexsort((positions, labels))  # by class, and within a class by position
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - (counts.cumsum() - counts)[labels[order]]
    return rank < quotas[labels]


def hold_out_unnamed(labels: Tensor, amount: Amount, option: str, class_names: Sequence[str]) -> Tensor:
    """Choose images to hold out of a dataset whose images have no names, but always the same order; see `hold_out`.

    Returns:
        A bool mask (N,) of the chosen images, whose number is exact also for a fraction.

    Raises:
        SettingError: A class would be left without an image on one side.
    """
    number = amount if isinstance(amount, int) else round(float(amount) * len(labels))
    least = len(labels.unique())
    if not isinstance(amount, int) and not least <= number <= len(labels) - least:
        fraction = _round_up(least / len(labels))
        bound = f"at least {fraction:g}" if number < least else f"at most {round(1 - fraction, 12):g}"
        raise SettingError(
            f"{option} {amount} would hold out {number:,} of {len(labels):,} images: use {bound}, or a number of "
            f"images from {least:,} to {len(labels) - least:,}, so that each of the {least:,} classes has an image on "
            "both sides"
        )
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(hold_out(labels.numpy(), order.argsort().numpy(), number, option, class_names))


def _round_up(value: float) -> float:
    """Return a positive value rounded up to two significant digits."""
    digits = 1 - math.floor(math.log10(value))
    return math.ceil(value * 10**digits) / 10**digits


def _allocate(counts: np.ndarray, most: np.ndarray, amount: int) -> np.ndarray:
    """Return how many of `amount` images are taken from each class: at least one, and in proportion.

    Args:
        counts: Number of images of every class (C,), int64.
        most: Largest number of images to take from every class (C,), int64; 0 only for classes without images.
        amount: Number of images to take, from the number of classes with images to the sum of `most`.
    """
    shares = counts * (amount / counts.sum())
    least = np.minimum(most, 1)
    quotas = np.clip(np.floor(shares).astype(np.int64), least, most)
    while (missing := amount - int(quotas.sum())) != 0:
        step = 1 if missing > 0 else -1
        possible = quotas < most if step > 0 else quotas > least
        gains = np.where(possible, step * (shares - quotas), -np.inf)
        quotas[int(gains.argmax())] += step
    return quotas
