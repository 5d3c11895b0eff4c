"""Figures of matplotlib as SVG elements within a page, whose style sheet sets their colours and fonts."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH, HEIGHT = 340, 230  # CSS pixels: a plot fits into a window of 400 pixels without being reduced
FONT_SIZE = 12
# Colours that stand for variables of the style sheet. Matplotlib writes colours as they are in hexadecimal notation.
TEXT, GRID, NEUTRAL = "#010203", "#010204", "#010205"
SERIES = tuple(f"#0102{number:02x}" for number in range(0x10, 0x18))
VARIABLES = {TEXT: "currentColor", GRID: "var(--grid)", NEUTRAL: "var(--neutral)"} | {
    color: f"var(--series-{number})" for number, color in enumerate(SERIES)
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "classifier",
    "font.family": "sans-serif",
    "font.size": FONT_SIZE,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "axes.formatter.use_mathtext": False,
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 1,
    "lines.linewidth": 2,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
}


@contextmanager
def open_axes() -> Iterator[Axes]:
    """Yield the empty axes of a new figure, and apply the style to everything that is drawn meanwhile."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))  # an SVG has 72 units per inch
        yield figure.add_axes((0.14, 0.2, 0.8, 0.74))


def render_svg(axes: Axes, name: str, description: str) -> Markup:
    """Return a figure as an SVG element without scripts, styles or references to anything outside of it.

    Args:
        axes: The axes of the figure.
        name: Name that is unique on the page. The ids of the figure's elements start with it.
        description: What the figure shows, for readers who cannot see it.
    """
    buffer = io.StringIO()
    with rc_context(STYLE):
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure = axes.get_figure(root=True)
        assert figure is not None
        figure.savefig(buffer, format="svg", metadata=metadata)
    _, _, drawing = buffer.getvalue().partition("<svg")
    drawing = drawing[drawing.index(">") + 1 : drawing.rindex("</svg>")]
    # The metadata, a style sheet that would be that of the page, and comments, which repeat every text.
    drawing = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # nothing refers to groups
    drawing = re.sub(r'((?:\bid="|href="#|url\(#))', rf"\g<1>{name}-", drawing)
    drawing = re.sub(r" font-family: [^;]*;", "", drawing)  # that of the page
    drawing = re.sub(r"\s+", " ", drawing.replace("xlink:href", "href"))
    for color, variable in VARIABLES.items():
        drawing = drawing.replace(color, variable)
    head = Markup('<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {} {}">')
    return head.format(description, WIDTH, HEIGHT) + Markup(drawing) + Markup("</svg>")  # noqa: S704 no names in it
