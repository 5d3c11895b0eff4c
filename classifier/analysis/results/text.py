"""The short form of a report, for the terminal."""

import math

from classifier.analysis.results.contents import Report, RunReport
from classifier.analysis.results.intervals import Interval
from classifier.analysis.results.notable_images import MAX_TRUSTED_ERROR
from classifier.errors import make_printable

MAX_RUNS, MAX_VERDICTS = 12, 6  # lines that fit on one screen
NUM_CLASSES = 3  # with the lowest recall
MAX_NAME = 30  # characters of a name in a line
SPLITS = {"test": "test", "val": "validation"}


def to_text(report: Report) -> str:
    """Return the short form of a report, at most one screen."""
    if len(report.runs) == 1:
        return "\n".join(describe_run(report.runs[0]))
    lines = tabulate_runs(report.runs)
    if report.problem:
        lines += ["", make_printable(report.problem)]
    if report.comparisons:
        lines += ["", *(make_printable(comparison.verdict) for comparison in report.comparisons[:MAX_VERDICTS])]
    if (num_left := len(report.comparisons) - MAX_VERDICTS) > 0:
        lines.append(f"and {num_left:,} more comparison{'s' * (num_left > 1)}")
    if report.correction:
        lines.append(f"({make_printable(report.correction)})")
    return "\n".join(lines)


def describe_run(report: RunReport) -> list[str]:
    """Return the lines about one run."""
    run, summary = report.run, report.summary
    rows = [
        ("accuracy", format_interval(summary.accuracy, "95%: ")),
        ("loss", format_loss(summary.loss)),
        ("balanced accuracy", format_percent(summary.balanced_accuracy)),
        ("macro F1", format_percent(summary.macro_f1)),
    ]
    if summary.top5 is not None:
        rows.append(("top-5 accuracy", format_percent(summary.top5)))
    if (rest := report.summary_without_trained) is not None:
        num_trained = summary.num_images - rest.num_images
        value = f"{format_interval(rest.accuracy)}, without {count_images(num_trained)} of the training set"
        rows.append(("new images only", value))
    worst = [row for row in report.classes if row.num_images > 0]
    worst = sorted(worst, key=lambda row: row.recall.value)[:NUM_CLASSES]
    rows.append(("lowest recall", ", ".join(f"{shorten(row.name)} {row.recall.value:.1%}" for row in worst)))
    if report.pairs:
        pair, names = report.pairs[0], run.results.class_names
        confused = f"{shorten(names[pair.true])} predicted as {shorten(names[pair.predicted])}"
        rows.append(("most confused", f"{confused}: {count_images(pair.count)}"))
    rows.append(("calibration error", describe_calibration(report)))
    rows.append(("doubtful labels", describe_doubtful_labels(report)))
    title = f"{shorten(run.name)}: {run.model} on {run.data}, {count_images(len(run.results), SPLITS[run.split])}"
    return [title, *(f"  {name:<18} {value}" for name, value in rows)]


def describe_calibration(report: RunReport) -> str:
    """Return the expected calibration error, and that after temperature scaling."""
    before = format_percent(report.calibration.error)
    if report.temperature is None or report.calibration_after is None:
        return before
    after = format_percent(report.calibration_after.error)
    return f"{before}, and {after} with a temperature of {report.temperature:.2f}, fitted to the validation images"


def describe_doubtful_labels(report: RunReport) -> str:
    """Return how many labels may be wrong, and the name of the most doubtful image."""
    rows = report.doubtful_labels
    if len(rows) == 0:
        return "none"
    is_trusted = 1 - report.summary.accuracy.value <= MAX_TRUSTED_ERROR
    reason = "may be wrong" if is_trusted else "may be wrong, or which the network misclassifies"
    return f"{count_images(len(rows))} whose label {reason}, first {shorten(report.run.results.names[rows[0]])}"


def tabulate_runs(reports: list[RunReport]) -> list[str]:
    """Return a table with a line per run."""
    names = [shorten(report.run.name) for report in reports]
    width = max(map(len, names))
    header = ("accuracy (95% interval)", "loss", "balanced", "macro F1", "calibration error", "doubtful")
    lines = [f"{'':<{width}}  {header[0]:>24}  " + "  ".join(f"{title:>8}" for title in header[1:])]
    for name, report in zip(names[:MAX_RUNS], reports, strict=False):
        summary = report.summary
        cells = [
            format_number(summary.loss.value),
            format_percent(summary.balanced_accuracy),
            format_percent(summary.macro_f1),
            format_percent(report.calibration.error),
            f"{len(report.doubtful_labels):,}",
        ]
        columns = "  ".join(f"{cell:>{max(8, len(title))}}" for cell, title in zip(cells, header[1:], strict=True))
        lines.append(f"{name:<{width}}  {format_interval(summary.accuracy):>24}  {columns}")
    if (num_left := len(reports) - MAX_RUNS) > 0:
        lines.append(f"and {num_left:,} more run{'s' * (num_left > 1)}")
    return lines


def format_interval(interval: Interval, what: str = "") -> str:
    """Return a fraction with its interval, such as "54.88% (95%: 53.90% to 55.85%)", where `what` is "95%: "."""
    if math.isnan(interval.value):
        return "undefined"
    return f"{interval.value:.2%} ({what}{interval.low:.2%} to {interval.high:.2%})"


def format_loss(interval: Interval) -> str:
    """Return a loss with its interval, such as "1.2694 (1.2500 to 1.2888)"; the interval may be undefined."""
    value = format_number(interval.value)
    return value if math.isnan(interval.low) else f"{value} ({interval.low:.4f} to {interval.high:.4f})"


def format_percent(value: float) -> str:
    """Return a fraction as a percentage."""
    return "undefined" if math.isnan(value) else f"{value:.2%}"


def format_number(value: float) -> str:
    """Return a number with four decimals."""
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def count_images(count: int, kind: str = "") -> str:
    """Return a number of images, such as "10,000 test images"."""
    return " ".join(filter(None, (f"{count:,}", kind, f"image{'s' * (count != 1)}")))


def shorten(name: str) -> str:
    """Return a name without characters that cannot be printed, cut off at its start if it is long."""
    text = make_printable(name)
    return text if len(text) <= MAX_NAME else f"...{text[3 - MAX_NAME :]}"
