"""The part of the page about one run: its plots, tables and images."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from classifier.analysis.results.contents import RunReport
from classifier.analysis.results.metrics import ClassRow
from classifier.analysis.results.settings import describe_value
from classifier.pages.cards import Gallery, make_gallery
from classifier.pages.confusion import ConfusionMatrix, show_confusions
from classifier.pages.figures import AFTER, BEFORE, make_curves, plot_coverage, plot_curves, plot_reliability
from classifier.pages.pictures import Album
from classifier.pages.sentences import name_split, state_accuracy, state_findings
from classifier.pages.wording import is_defined

MAX_CLASSES = 100  # rows of the table of classes
MAX_SETTINGS = 200
SPLIT_COLORS = {"train": 0, "val": 2, "test": 1}


@dataclass(frozen=True)
class Plot:
    """A plot with its caption and its legend.

    Args:
        svg: The plot.
        caption: What it shows.
        legend: Numbers of the colours, and what they stand for.
    """

    svg: Markup
    caption: str
    legend: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class RunSection:
    """What the page shows of one run.

    Args:
        key: Beginning of all ids of this run on the page.
        report: The numbers.
        answer: The accuracy in words.
        findings: Other sentences.
        classes: Rows of the table of classes.
        num_other_classes: Number of classes without a row.
        confusion: The confusion matrix.
        reliability: The reliability diagram.
        coverage: The accuracy against the fraction of the images answered.
        curves: Plots of the training.
        gallery: Images.
        facts: Names and values: dataset, device and versions.
        settings: Names and values of the settings.
    """

    key: str
    report: RunReport
    answer: str
    findings: list[str]
    classes: list[ClassRow]
    num_other_classes: int
    confusion: ConfusionMatrix
    reliability: Plot
    coverage: Plot
    curves: list[Plot]
    gallery: Gallery
    facts: list[tuple[str, str]]
    settings: list[tuple[str, str]]


def make_run_section(key: str, report: RunReport, album: Album, num_pictures: int) -> RunSection:
    """Return what the page shows of one run.

    Args:
        key: Name that is unique on the page.
        report: The numbers of the run.
        album: The pictures of the page, to which those of this run are added.
        num_pictures: Maximum number of images of every kind.
    """
    classes = select_classes(report.classes)
    return RunSection(
        key=key,
        report=report,
        answer=state_accuracy(report),
        findings=state_findings(report),
        classes=classes,
        num_other_classes=len(report.classes) - len(classes),
        confusion=show_confusions(report.confusion),
        reliability=make_reliability(key, report),
        coverage=Plot(
            plot_coverage(f"{key}-coverage", report.coverage),
            "Accuracy if only the images with the highest confidence are classified",
        ),
        curves=make_training_plots(key, report),
        gallery=make_gallery(report, album, num_pictures),
        facts=list_facts(report),
        settings=[(name, describe_value(value)) for name, value in report.run.settings.items()][:MAX_SETTINGS],
    )


def select_classes(classes: list[ClassRow]) -> list[ClassRow]:
    """Return all classes in their order or, of many, those with the lowest recall."""
    if len(classes) <= MAX_CLASSES:
        return classes
    worst = sorted(classes, key=lambda row: row.recall.value if is_defined(row.recall.value) else math.inf)
    return worst[:MAX_CLASSES]


def make_reliability(key: str, report: RunReport) -> Plot:
    """Return the reliability diagram with its legend."""
    legend = []
    if report.calibration_after is not None:
        legend = [(BEFORE, "probabilities of the network"), (AFTER, f"with a temperature of {report.temperature:.2f}")]
    svg = plot_reliability(f"{key}-reliability", report.calibration, report.calibration_after)
    caption = "Accuracy by confidence (dashed: perfect calibration); bars: fraction of the images"
    return Plot(svg, caption, legend)


def make_training_plots(key: str, report: RunReport) -> list[Plot]:
    """Return the plots of the training, without those that have no values."""
    epochs = report.run.record.epochs if report.run.record else []
    plots = []
    for name, caption, columns in (
        ("loss", "Loss", {f"loss/{split}": color for split, color in SPLIT_COLORS.items()}),
        ("accuracy", "Accuracy", {f"accuracy/{split}": color for split, color in SPLIT_COLORS.items()}),
        ("lr", "Learning rate", {"lr": 0}),
        ("seconds", "Seconds per epoch", {"seconds": 0}),
    ):
        curves = make_curves(epochs, columns)
        if curves:
            drawn = {curve.color for curve in curves}
            legend = [(color, name_split(column.partition("/")[2])) for column, color in columns.items()]
            svg = plot_curves(
                f"{key}-{name}",
                curves,
                f"{caption} against the epoch",
                is_fraction=name == "accuracy",
                starts_at_0=name in ("lr", "seconds"),
            )
            plots.append(Plot(svg, caption, [item for item in legend if item[0] in drawn and len(columns) > 1]))
    return plots


def list_facts(report: RunReport) -> list[tuple[str, str]]:
    """Return names and values of the run: network, dataset, device and versions."""
    run, record = report.run, report.run.record
    counts = ", ".join(f"{number:,} {name_split(split)}" for split, number in run.counts.items())
    facts: list[tuple[str, Any]] = [
        ("Network", run.model),
        ("Dataset", run.data),
        ("Images", counts or None),
        ("Classes", f"{len(run.results.class_names):,}"),
        ("Checkpoint", run.checkpoint),
    ]
    if record is not None:
        facts += [
            ("Seed", record.seed),
            ("Device", record.device),
            ("Processes", record.processes),
            ("Threads", record.threads),
            ("Machine", record.machine),
            ("Versions", join_versions(record.versions.items()) or None),
        ]
    return [(name, str(value)) for name, value in facts if value is not None]


def join_versions(versions: Iterable[tuple[str, str]]) -> str:
    """Return the versions of packages as one text."""
    return ", ".join(f"{package} {version}" for package, version in versions)
