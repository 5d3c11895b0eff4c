"""What follows from the numbers of a run, in words."""

import math

from classifier.analysis.results.contents import RunReport
from classifier.analysis.results.metrics import Summary
from classifier.analysis.results.notable_images import MAX_TRUSTED_ERROR
from classifier.pages.wording import count_things, format_percent, format_percent_interval, is_defined

SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}
FEW_IMAGES = 2000  # below it, a second digit after the point has no meaning
MIN_CALIBRATION_ERROR = 0.02  # that is worth a sentence


def name_split(split: str) -> str:
    """Return the name of a split in a sentence, such as "training" for "train"."""
    return SPLIT_NAMES.get(split, split)


def choose_digits(num_images: int) -> int:
    """Return the number of digits after the point with which an accuracy is shown."""
    return 2 if num_images >= FEW_IMAGES else 1


def state_accuracy(report: RunReport) -> str:
    """Return the accuracy of a run with its interval as a sentence."""
    summary, split = report.summary, name_split(report.run.split)
    if not summary.num_images:
        return f"There are no {split} images."
    digits = choose_digits(summary.num_images)
    return (
        f"{format_percent(summary.accuracy.value, digits)} of {count_things(summary.num_images, f'{split} image')} are "
        f"classified correctly (95% interval: {format_percent_interval(summary.accuracy, digits)})."
    )


def state_findings(report: RunReport) -> list[str]:
    """Return what else is worth knowing of a run: sentences about trained images, classes, calibration and labels."""
    sentences = (state_trained(report), state_weakest(report), state_calibration(report), state_doubtful(report))
    return [sentence for sentence in sentences if sentence]


def state_trained(report: RunReport) -> str:
    """Return a sentence about evaluated images that the network was trained on, or an empty text."""
    rest: Summary | None = report.summary_without_trained
    if rest is None:
        return ""
    number, split = report.summary.num_images - rest.num_images, name_split(report.run.split)
    digits = choose_digits(rest.num_images)
    return (
        f"The network was trained on {number:,} of these {split} images. Without them, the accuracy is "
        f"{format_percent(rest.accuracy.value, digits)} ({format_percent_interval(rest.accuracy, digits)})."
    )


def state_weakest(report: RunReport) -> str:
    """Return a sentence about the class with the lowest recall and the most confused pair, or an empty text."""
    if not report.pairs:
        return "There are no errors." if report.summary.num_images else ""
    pair, names = report.pairs[0], report.run.results.class_names
    weakest = min(report.classes, key=lambda row: row.recall.value if is_defined(row.recall.value) else math.inf)
    return (
        f"The class with the lowest accuracy is {weakest.name}, with {format_percent(weakest.recall.value)}. The most "
        f"frequent error is {names[pair.true]} predicted as {names[pair.predicted]} "
        f"({count_things(pair.count, 'image')})."
    )


def state_calibration(report: RunReport) -> str:
    """Return a sentence about the confidence of the network, or an empty text."""
    error, bins = report.calibration.error, [b for b in report.calibration.bins if b.count]
    if not is_defined(error):
        return ""
    if error < MIN_CALIBRATION_ERROR:
        return (
            "The probabilities are well calibrated: confidence and accuracy differ by "
            f"{format_percent(error)} on average (expected calibration error)."
        )
    surplus = sum(b.count * (b.confidence - b.accuracy) for b in bins)
    text = (
        f"The network is too {'confident' if surplus > 0 else 'cautious'}: confidence and accuracy differ by "
        f"{format_percent(error)} on average (expected calibration error)"
    )
    if report.temperature is not None and report.calibration_after is not None:
        after = format_percent(report.calibration_after.error)
        text += f", and by {after} with a temperature of {report.temperature:.2f}"
    return text + "."


def state_doubtful(report: RunReport) -> str:
    """Return a sentence about the labels that may be wrong, or an empty text."""
    number = len(report.doubtful_labels)
    if not number:
        return ""
    text = f"{number:,} labels may be wrong" if number > 1 else "One label may be wrong"
    error = 1 - report.summary.accuracy.value
    if error > MAX_TRUSTED_ERROR:
        text += f", but the network classifies {format_percent(error, 0)} of all images incorrectly"
    return text + "."
