"""Numbers as text: fractions in per cent, intervals and durations."""

import math
from typing import TypeGuard

from classifier.analysis.results.intervals import Interval

UNDEFINED = "\N{EN DASH}"
MAX_NAME = 80  # characters
INFINITE = "\N{INFINITY}"  # the loss of an image whose true class has a probability of 0


def format_percent(fraction: float | None, digits: int = 1) -> str:
    """Return a fraction in per cent, such as "94.0%".

    Only an exact 0 or 1 is shown as 0% or 100%, so that a few errors among many images do not disappear.

    Args:
        fraction: The fraction, from 0 to 1; a dash is returned for NaN and None.
        digits: Number of digits after the point.
    """
    if not is_defined(fraction):
        return UNDEFINED
    smallest = 10.0 ** -(digits + 2)
    if 0 < fraction < smallest / 2:
        return f"<{smallest:.{digits}%}"
    if 1 - smallest / 2 < fraction < 1:
        return f">{1 - smallest:.{digits}%}"
    return f"{fraction:.{digits}%}"


def format_percent_interval(interval: Interval, digits: int = 1) -> str:
    """Return the ends of an interval of a fraction in per cent, such as "93.5% to 94.5%"."""
    if not (is_defined(interval.low) and is_defined(interval.high)):
        return UNDEFINED
    return f"{format_percent(interval.low, digits)} to {format_percent(interval.high, digits)}"


def format_points(difference: float) -> str:
    """Return a difference of two fractions in percentage points, with its sign, such as "+1.3"."""
    if not is_defined(difference):
        return UNDEFINED
    text = f"{100 * difference:+.1f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else "0.0"


def format_points_interval(interval: Interval) -> str:
    """Return the ends of an interval of a difference in percentage points, such as "+0.7 to +1.9"."""
    if not (is_defined(interval.low) and is_defined(interval.high)):
        return UNDEFINED
    return f"{format_points(interval.low)} to {format_points(interval.high)}"


def format_loss(value: float | None) -> str:
    """Return a loss with three digits after the point; a dash for NaN and None."""
    if not is_defined(value):
        return UNDEFINED
    return f"{value:.3f}" if math.isfinite(value) else INFINITE


def format_loss_interval(interval: Interval) -> str:
    """Return the ends of an interval of a loss, such as "0.362 to 0.381"."""
    if not (is_defined(interval.low) and is_defined(interval.high)):
        return UNDEFINED
    return f"{format_loss(interval.low)} to {format_loss(interval.high)}"


def format_p_value(value: float) -> str:
    """Return a p value, such as "0.032"."""
    if not is_defined(value):
        return UNDEFINED
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count_things(number: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as "1 image" or "10,000 images"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def is_defined(value: float | None) -> TypeGuard[float]:
    """Return whether a value is neither None nor NaN."""
    return value is not None and not math.isnan(value)


def format_sort_key(value: float | None) -> str:
    """Return a number for the script that sorts tables; an empty text, which is sorted last, for NaN and None."""
    return f"{value:.6g}" if is_defined(value) else ""


def shorten(text: str) -> str:
    """Return a name of at most `MAX_NAME` characters, without the middle of a longer one.

    The names of many files differ only at their end, those of classes at their beginning.
    """
    half = MAX_NAME // 2
    return text if len(text) <= MAX_NAME else f"{text[:half]}…{text[half + 1 - MAX_NAME :]}"
