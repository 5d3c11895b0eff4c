"""Lines that datasets print, once for all processes."""

from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn

from classifier.data.own_images.cache_entries import Contents
from classifier.errors import UserError

MAX_SHOWN = 20  # messages about unreadable files that are printed
NEARLY_BLACK, NEARLY_WHITE = 31, 224  # of 255; no pixel is brighter, or none is darker


def shorten_list(texts: list[str]) -> str:
    """Return up to 20 texts, separated by semicolons, and the number of the others."""
    more = [f"and {len(texts) - MAX_SHOWN:,} more"] if len(texts) > MAX_SHOWN else []
    return "; ".join(texts[:MAX_SHOWN] + more)


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
