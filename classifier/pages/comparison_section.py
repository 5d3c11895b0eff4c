"""The part of the page about several runs: their metrics, curves, and paired comparisons."""

import math
from dataclasses import dataclass

from classifier.analysis.results.comparison import ClassDifference, Comparison
from classifier.analysis.results.contents import Report, RunReport
from classifier.pages.cards import Card, make_cards
from classifier.pages.figures import Curve, make_curves, plot_curves
from classifier.pages.pictures import Album
from classifier.pages.run_section import Plot
from classifier.pages.sentences import name_split

MAX_CLASSES = 50  # rows of a table of differences
MAX_LEGEND = 12  # entries; other runs have curves in the same colours


@dataclass(frozen=True)
class ExamplePair:
    """An image as two runs classify it."""

    first: Card
    second: Card


@dataclass(frozen=True)
class ComparisonSection:
    """What the page shows of one comparison.

    Args:
        key: Id on the page.
        comparison: The numbers.
        first_run: Name of the first of the two runs whose images are compared.
        second_run: Name of the second one.
        classes: Rows of the table of classes, those with the largest difference if there are many.
        num_other_classes: Number of classes without a row.
        examples: Images that only the first run classifies correctly, and those that only the second one does.
    """

    key: str
    comparison: Comparison
    first_run: str
    second_run: str
    classes: list[ClassDifference]
    num_other_classes: int
    examples: tuple[list[ExamplePair], list[ExamplePair]]


def make_comparison_section(key: str, comparison: Comparison, runs: list[RunReport], album: Album) -> ComparisonSection:
    """Return what the page shows of one comparison, and add its pictures to an album."""
    first, second = (runs[index] for index in comparison.pair)
    examples = [*comparison.examples_first, *comparison.examples_second]
    first_rows, second_rows = [row for row, _ in examples], [row for _, row in examples]
    first_cards = make_cards(first, first_rows, album.add(first.run, first_rows))
    cards = list(map(ExamplePair, first_cards, make_cards(second, second_rows, {})))
    classes = comparison.classes
    if len(classes) > MAX_CLASSES:
        classes = sorted(classes, key=lambda row: -abs(row.difference.value) if row.num_images else math.inf)
    num_first = len(comparison.examples_first)
    return ComparisonSection(
        key=key,
        comparison=comparison,
        first_run=first.run.name,
        second_run=second.run.name,
        classes=classes[:MAX_CLASSES],
        num_other_classes=len(classes) - len(classes[:MAX_CLASSES]),
        examples=(cards[:num_first], cards[num_first:]),
    )


def plot_all_curves(report: Report) -> list[Plot]:
    """Return plots of the loss and the accuracy of all runs against the epoch; runs of a group share a colour."""
    colors, legend = assign_colors(report)
    plots = []
    for name, caption in (("loss", "Loss"), ("accuracy", "Accuracy")):
        curves: list[Curve] = []
        for index, item in enumerate(report.runs):
            if item.run.record is not None:
                curves += make_curves(item.run.record.epochs, {f"{name}/{item.run.split}": colors[index]})
        if curves:
            splits = " or ".join(sorted({name_split(item.run.split) for item in report.runs}))
            caption += f" on the {splits} images"
            svg = plot_curves(f"all-{name}", curves, f"{caption} after every epoch", is_fraction=name == "accuracy")
            plots.append(Plot(svg, caption, legend))
    return plots


def assign_colors(report: Report) -> tuple[list[int], list[tuple[int, str]]]:
    """Return the number of the colour of every run, and the legend."""
    groups = {row: number for number, group in enumerate(report.groups) for row in group.runs}
    names = {row: group.name for group in report.groups for row in group.runs}
    colors: list[int] = []
    legend: dict[int, str] = {}
    for index, item in enumerate(report.runs):
        color = groups.get(index, len(report.groups) + index)
        colors.append(color)
        legend.setdefault(color, names.get(index, item.run.name))
    return colors, list(legend.items())[:MAX_LEGEND]
