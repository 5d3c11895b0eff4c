"""Texts in columns of a terminal: their width in cells, and texts that are cut to a width."""

import sys
import unicodedata

from classifier.errors import make_printable

MAX_NAME, MAX_PATH = 30, 60  # cells of a class name and of a path
COMBINING = ("Mn", "Me")  # categories, which include the vowel signs of many Asian scripts
WIDE = ("W", "F")  # of Unicode's East Asian widths, such as those of Chinese characters and emoji


def measure(text: str) -> int:
    """Return the number of cells of a text: two for wide characters, and none for those that combine with others."""
    return sum(_measure_character(character) for character in text)


def _measure_character(character: str) -> int:
    """Return the number of cells of a character."""
    if unicodedata.category(character) in COMBINING:
        return 0
    return 2 if unicodedata.east_asian_width(character) in WIDE else 1


def fit(text: str, width: int, keep_end: bool = False) -> str:
    """Return a printable text of exactly a number of cells: padded with spaces, or cut, which "…" marks.

    Args:
        text: The text; characters that cannot be printed are replaced by "?".
        width: Number of cells, at least 3.
        keep_end: Whether to cut the beginning, as of paths, whose ends differ.
    """
    text = make_printable(text)
    if measure(text) > width:
        mark = find_ellipsis()
        characters = list(reversed(text)) if keep_end else list(text)
        used, kept = len(mark), []
        for character in characters:
            used += _measure_character(character)
            if used > width:
                break
            kept.append(character)
        text = mark + "".join(reversed(kept)) if keep_end else "".join(kept) + mark
    return text + " " * (width - measure(text))


def find_ellipsis() -> str:
    """Return "…" if standard output can encode it, otherwise three dots."""
    try:
        "…".encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return "..."
    return "…"
