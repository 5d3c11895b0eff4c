"""Lines that datasets print, once for all processes."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from classifier.data.own_images.cache_entries import Contents
from classifier.data.own_images.found_files import FoundFiles
from classifier.data.own_images.repeats import MAX_NAMES, NAMES
from classifier.data.splits import Amount
from classifier.errors import UserError

MAX_SHOWN = 20  # messages about unreadable files that are printed
NEARLY_BLACK, NEARLY_WHITE = 31, 224  # of 255; no pixel is brighter, or none is darker


def shorten_list(texts: list[str]) -> str:
    """Return up to 20 texts, separated by semicolons, and the number of the others."""
    more = [f"and {len(texts) - MAX_SHOWN:,} more"] if len(texts) > MAX_SHOWN else []
    return "; ".join(texts[:MAX_SHOWN] + more)


def describe_found(
    found: FoundFiles,
    order: Sequence[str],
    given: Collection[str],
    amounts: Mapping[str, Amount | None],
    class_names: Sequence[str],
) -> list[str]:
    """Return the number of images by split, and what a user may not expect of them.

    Args:
        found: The files.
        order: The splits that have images.
        given: The splits that the user has assigned images to.
        amounts: What the user wants to hold out for "val" and "test"; None for the default.
        class_names: Names of the classes.
    """
    counts = {split: int((found.splits == split).sum()) for split in order}
    numbers = ", ".join(f"{count:,} {NAMES[split]}" for split, count in counts.items())
    notes = [f"{len(found.splits):,} images in {len(class_names):,} classes ({numbers})"]
    if "test" not in order:
        notes.append("no test images, so the validation images are evaluated in their place")
    for split in order:
        numbers_by_class = np.bincount(found.labels[found.splits == split], minlength=len(class_names))
        if missing := [class_names[label] for label in np.flatnonzero(numbers_by_class == 0).tolist()]:
            more = f" and {len(missing) - MAX_NAMES:,} more" if len(missing) > MAX_NAMES else ""
            kind = "class" if len(missing) == 1 else "classes"
            notes.append(f"no {NAMES[split]} images of the {kind} {', '.join(missing[:MAX_NAMES])}{more}")
    for split, amount in amounts.items():
        if amounts["test"] == "all" or not amount:
            continue
        if split in given:
            notes.append(f"{split}_split has no effect, because there are {NAMES[split]} images")
        elif isinstance(amount, int) and split in counts and counts[split] != amount:
            notes.append(f"{split}_split {amount:,} is not met exactly, because the images of a group stay together")
    return notes


def describe_range(contents: Contents) -> str | None:
    """Return a warning if all images are nearly black or nearly white, or None."""
    for word, is_so in (("black", contents.brightest <= NEARLY_BLACK), ("white", contents.darkest >= NEARLY_WHITE)):
        if is_so and len(contents.kept):
            return (
                f"all images are nearly {word}: their values are from {contents.darkest} to {contents.brightest} of 255"
            )
    return None


def check_contents(contents: Contents, num_files: int, skip_broken: bool, where: str) -> None:
    """Report or refuse files that cannot be decoded, and report images that are nearly black or white.

    Args:
        contents: What is known of the files.
        num_files: Number of all files.
        skip_broken: Whether files that cannot be decoded are left out.
        where: The folder or the file that the user has named.

    Raises:
        UserError: Files cannot be decoded, and `skip_broken` is off.
    """
    if contents.problems:
        number, reasons = f"{len(contents.problems):,} of {num_files:,} files", shorten_list(contents.problems)
        if not skip_broken:
            raise UserError(f"repair or remove {number}, or set --data.skip_broken true: {reasons}")
        report(f"{number} cannot be decoded and are skipped: {reasons}")
    if problem := describe_range(contents):
        rank_zero_warn(f"{where}: {problem}")


@rank_zero_only
def report(text: str) -> None:
    """Print a line in the first process."""
    print(text, flush=True)
