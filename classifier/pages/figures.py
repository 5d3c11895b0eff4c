"""The plots of the page. None of them contains a name that a user has chosen; legends are part of the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from classifier.analysis.results.calibration import Calibration
from classifier.pages.svg import GRID, NEUTRAL, SERIES, open_axes, render_svg

MAX_MARKERS = 40  # points of a curve that are still told apart
BEFORE, AFTER = 0, 1  # colours of the calibration before and after the temperature


@dataclass(frozen=True)
class Curve:
    """One line of a plot.

    Args:
        points: Pairs of numbers in the order of the line; NaN and infinite values leave a gap.
        color: Number of its colour in the style sheet; numbers above the last one start again, with a dashed line.
        is_dashed: Whether the line is dashed in any case.
    """

    points: Sequence[tuple[float, float]]
    color: int
    is_dashed: bool = False


def plot_curves(
    name: str, curves: Sequence[Curve], description: str, is_fraction: bool = False, starts_at_0: bool = False
) -> Markup:
    """Return a plot of values against the epoch.

    Args:
        name: Name that is unique on the page.
        curves: The lines.
        description: What the plot shows.
        is_fraction: Whether the values are fractions, which are shown in per cent.
        starts_at_0: Whether the vertical axis starts at 0.
    """
    with open_axes() as axes:
        for curve in curves:
            draw_curve(axes, curve)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if is_fraction:
            axes.yaxis.set_major_formatter(FuncFormatter(format_tick))
        if starts_at_0:
            axes.set_ylim(bottom=0)
        return render_svg(axes, name, description)


def format_tick(value: float, _: int) -> str:
    """Return a fraction on an axis in per cent, with as many digits as it takes."""
    return f"{round(100 * value, 6):g}%"


def draw_curve(axes: Axes, curve: Curve) -> None:
    """Draw a line, with markers if it has few points."""
    points = np.array([*curve.points], dtype=np.float64).reshape(-1, 2)
    points[~np.isfinite(points)] = math.nan
    rounds, color = divmod(curve.color, len(SERIES))
    axes.plot(
        *points.T,
        color=SERIES[color],
        linestyle="--" if rounds or curve.is_dashed else "-",
        marker="o" if len(points) <= MAX_MARKERS else None,
        markersize=4 if len(points) > 1 else 7,
    )


def plot_reliability(name: str, before: Calibration, after: Calibration | None) -> Markup:
    """Return the reliability diagram: the accuracy of the images of every bin against their confidence.

    Args:
        name: Name that is unique on the page.
        before: Calibration of the network's own probabilities.
        after: Calibration with the temperature, if there is one.
    """
    with open_axes() as axes:
        total = max(1, sum(section.count for section in before.bins))
        lows, widths = [b.low for b in before.bins], [b.high - b.low for b in before.bins]
        axes.bar(lows, [b.count / total for b in before.bins], width=widths, align="edge", color=GRID)
        axes.plot([0, 1], [0, 1], color=NEUTRAL, linewidth=1, linestyle="--")
        for calibration, color in ((before, BEFORE), (after, AFTER)):
            if calibration is not None:
                draw_curve(axes, Curve([(b.confidence, b.accuracy) for b in calibration.bins if b.count], color))
        axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="confidence")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            axis.set_major_formatter(FuncFormatter(format_tick))
        return render_svg(axes, name, "Accuracy of the images of each confidence; the diagonal is perfect calibration")


def plot_coverage(name: str, coverage: tuple[np.ndarray, np.ndarray]) -> Markup:
    """Return a plot of the accuracy of the most confident images against their fraction of all images.

    Args:
        name: Name that is unique on the page.
        coverage: Fractions and accuracies, float64 (N,) each.
    """
    with open_axes() as axes:
        points = list(zip(*(column.tolist() for column in coverage), strict=True))
        draw_curve(axes, Curve(points, 0))
        lowest = min((accuracy for _, accuracy in points if math.isfinite(accuracy)), default=0.0)
        axes.set(xlim=(0, 1.02), ylim=(max(0.0, lowest - 0.05), 1.01), xlabel="fraction of the images")
        axes.xaxis.set_major_formatter(FuncFormatter(format_tick))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(format_tick))
        return render_svg(axes, name, "Accuracy of the most confident images, for every fraction of all images")


def make_curves(epochs: Sequence[dict], columns: dict[str, int]) -> list[Curve]:
    """Return the curves of the columns of a run's record that have values.

    Args:
        epochs: Values of every epoch by column.
        columns: Columns with their colours.
    """
    curves = []
    for column, color in columns.items():
        values = [epoch.get(column) for epoch in epochs]
        points = [
            (epoch["epoch"], float(value) if isinstance(value, int | float) else math.nan)
            for epoch, value in zip(epochs, values, strict=True)
        ]
        if any(not math.isnan(value) for _, value in points):
            curves.append(Curve(points, color))
    return curves
