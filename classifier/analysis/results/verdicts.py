"""What follows from a comparison of two runs, in one sentence."""

import math

from classifier.analysis.results.intervals import Interval
from classifier.analysis.results.paired import PairedCounts
from classifier.analysis.results.significance import SIGNIFICANCE, Outcome

MIN_DECISIVE = 6  # images that only one run classifies correctly: with 5, McNemar's p value is at least 0.0625
MAX_DECIMALS = 6
EXACT_BELOW = 100  # images: with fewer, a point is less than one image


def describe_outcome(names: tuple[str, str], outcome: Outcome, counts: PairedCounts, same_predictions: bool) -> str:
    """Return a verdict in one sentence.

    It calls a difference significant if its corrected p value is at most 5%, and says so where the interval, which is
    not corrected, gives another impression.

    Args:
        names: Names of the runs or groups, as they are to be called.
        outcome: Outcome of their outcome.
        counts: Counts of the compared images; not used for a test over seeds.
        same_predictions: Whether both runs predict the same class for every image.
    """
    if counts.num_images == 0:
        return f"There are no images on which {names[0]} and {names[1]} could be compared."
    if not outcome.over_seeds and counts.only_first + counts.only_second == 0:
        return describe_equal_images(names, counts, same_predictions)
    difference = orient(outcome.difference)
    points, evidence = describe_points(difference, counts.num_images), describe_p_value(outcome)
    average = " on average" if outcome.over_seeds else ""
    if outcome.difference.value == 0:
        return describe_equal_accuracy(names, outcome, counts)
    worse, better = names if outcome.difference.value > 0 else names[::-1]
    covers_zero = difference.low <= 0
    if outcome.corrected_p_value <= SIGNIFICANCE:
        note = ", although the interval includes 0" if covers_zero else ""
        return f"{better} is better than {worse} by {points[0]}{average} (95%: {points[1]}{evidence}){note}."
    text = f"The difference between {names[0]} and {names[1]}, {points[0]}{average} in favour of {better}"
    text += f" (95%: {points[1]}{evidence}), is "
    return text + describe_chance(outcome, counts, covers_zero) + "."


def describe_chance(outcome: Outcome, counts: PairedCounts, covers_zero: bool) -> str:
    """Return why a difference is not significant."""
    decisive = counts.only_first + counts.only_second
    if not outcome.over_seeds and decisive < MIN_DECISIVE:
        if counts.num_images == 1:
            return "within chance: there is only one image"
        images = f"only {decisive:,} of {counts.num_images:,} images {'is' if decisive == 1 else 'are'}"
        return (
            f"within chance: {images} classified correctly by just one of them, and at least {MIN_DECISIVE} are needed"
        )
    if covers_zero:
        return "within chance"
    if outcome.p_value <= SIGNIFICANCE:
        return f"within chance among {outcome.num_comparisons} comparisons, although it would be significant on its own"
    return f"at the limit of chance: the p value of McNemar's exact test is {format_p_value(outcome.p_value)}"


def describe_equal_images(names: tuple[str, str], counts: PairedCounts, same_predictions: bool) -> str:
    """Return the verdict on two runs that classify the same images correctly."""
    images = "the only image" if counts.num_images == 1 else f"all {counts.num_images:,} images"
    if same_predictions:
        return f"{names[0]} and {names[1]} predict the same class for {images}."
    correct = f"the same {counts.both:,} of {counts.num_images:,} images correctly"
    return f"{names[0]} and {names[1]} are equally accurate: both classify {correct}, and differ only in their errors."


def describe_equal_accuracy(names: tuple[str, str], outcome: Outcome, counts: PairedCounts) -> str:
    """Return the verdict on two runs or groups of the same accuracy that classify different images correctly."""
    _, interval = describe_points(outcome.difference, counts.num_images)
    if outcome.over_seeds:
        return f"{names[0]} and {names[1]} are equally accurate on average (95%: {interval} points)."
    number = f"{counts.only_first:,} of {counts.num_images:,} images"
    return (
        f"{names[0]} and {names[1]} are equally accurate (95%: {interval} points): each classifies {number} correctly "
        "that the other does not."
    )


def orient(difference: Interval) -> Interval:
    """Return a difference with the better minus the worse, so that its value is not negative."""
    return Interval(-difference.value, -difference.high, -difference.low) if difference.value < 0 else difference


def describe_points(difference: Interval, num_images: int) -> tuple[str, str]:
    """Return a difference and its interval in percentage points, such as "1.3 points" and "0.7 to 1.9".

    There are as many decimals as it takes to show that a number is not 0: at least one, or none with few images.
    """
    values = [100 * value for value in difference]
    decimals = 0 if num_images < EXACT_BELOW else 1
    while decimals < MAX_DECIMALS and any(abs(x) > 1e-9 and round(x, decimals) == 0 for x in values):
        decimals += 1
    value, low, high = (f"{round(x, decimals) + 0.0:.{decimals}f}" for x in values)
    return f"{value} point{'' if value == '1' else 's'}", f"{low} to {high}"


def describe_p_value(outcome: Outcome) -> str:
    """Return the corrected p value for a list in brackets, or "" if nothing was corrected."""
    if outcome.num_comparisons == 1:
        return ""
    return (
        f"; {format_p_value(outcome.corrected_p_value, 'p')} after correction for {outcome.num_comparisons} comparisons"
    )


def format_p_value(p_value: float, name: str = "") -> str:
    """Return a p value with two significant digits, such as "0.012" or "p = 0.012", and "< 0.0001" below that.

    A value is not rounded across the limit of significance.
    """
    equals, less = (f"{name} = ", f"{name} < ") if name else ("", "less than ")
    if p_value < 1e-4:
        return f"{less}0.0001"
    digits = 2
    while (float(f"{p_value:.{digits}g}") <= SIGNIFICANCE) != (p_value <= SIGNIFICANCE) and digits < 17:
        digits += 1
    decimals = max(digits - 1 - math.floor(math.log10(p_value)), 0)
    return f"{equals}{p_value:.{decimals}f}"
