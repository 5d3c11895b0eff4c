import math
import re

import numpy as np
from helpers.html_pages import parse_page
from helpers.results import make_random

from classifier.analysis.results.calibration import measure_calibration
from classifier.pages.figures import Curve, make_curves, plot_coverage, plot_curves, plot_reliability


def read_paths(svg, color):
    """Return the points of the lines of a colour, in units of the figure."""
    paths = [path.attributes for path in parse_page(svg).find("path") if "clip-path" in path.attributes]
    lines = [path["d"] for path in paths if f"stroke: var(--{color})" in path["style"]]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", line)] for line in lines]


def test_curve_is_drawn_in_proportion():
    svg = plot_curves("a", [Curve([(1, 0.5), (2, 0.75), (3, 1.0)], 1)], "Loss")
    ((first, second, third),) = read_paths(svg, "series-1")
    assert math.isclose(second[0] - first[0], third[0] - second[0], abs_tol=1e-3)
    assert math.isclose(second[1] - first[1], third[1] - second[1], abs_tol=1e-3)
    assert first[1] > third[1]  # the vertical axis of an SVG points down


def test_undefined_values_leave_a_gap():
    svg = plot_curves("a", [Curve([(1, 1.0), (2, 2.0), (3, math.nan), (4, math.inf), (5, 1.0), (6, 3.0)], 0)], "Loss")
    (line,) = read_paths(svg, "series-0")
    assert len(line) == 4


def test_plot_refers_to_nothing_outside_of_it_and_names_its_elements():
    svg = plot_curves("first", [Curve([(1, 1.0), (2, 2.0)], 0)], 'a "b" <c>')
    root = parse_page(svg)
    assert root.find("svg")[0].attributes["aria-label"] == 'a "b" <c>'
    assert not re.search(r"http|<style|<script|<metadata|<!--|xlink|font-family", svg)
    ids = re.findall(r' id="([^"]*)"', svg)
    assert ids
    assert all(name.startswith("first-") for name in ids)
    assert {*re.findall(r"url\(#([^)]*)\)", svg)} <= {*ids}
    assert "#0102" not in svg  # every colour is one of the style sheet


def test_equal_plots_are_equal():
    curves = [Curve([(1, 1.0), (2, 2.0)], 0)]
    assert plot_curves("a", curves, "Loss") == plot_curves("a", curves, "Loss")


def test_fractions_are_shown_in_percent():
    assert "%" not in plot_curves("a", [Curve([(1, 0.2), (2, 0.9)], 0)], "Loss")
    assert "80%" in plot_curves("a", [Curve([(1, 0.2), (2, 0.9)], 0)], "Accuracy", is_fraction=True)


def test_axis_of_durations_starts_at_0():
    curves = [Curve([(1, 5.0), (2, 10.0)], 0)]
    ((low, high),) = read_paths(plot_curves("a", curves, "Seconds", starts_at_0=True), "series-0")
    bottom = max(y for line in read_paths(plot_curves("a", curves, "Seconds"), "grid") for _, y in line)
    assert math.isclose((bottom - high[1]) / (bottom - low[1]), 2, rel_tol=1e-3)


def test_colours_start_again_with_dashes():
    svg = plot_curves("a", [Curve([(1, 1.0), (2, 2.0)], 8)], "Loss")
    styles = [path.attributes["style"] for path in parse_page(svg).find("path") if "clip-path" in path.attributes]
    (style,) = (style for style in styles if "stroke: var(--series-0)" in style)
    assert "stroke-dasharray" in style


def test_reliability_diagram_has_a_point_for_every_bin_with_images():
    results = make_random(300, 4)
    calibration = measure_calibration(results.probabilities, results.labels)
    svg = plot_reliability("a", calibration, None)
    (line,) = read_paths(svg, "series-0")
    assert len(line) == sum(section.count > 0 for section in calibration.bins)
    assert read_paths(svg, "series-1") == []
    assert len(read_paths(plot_reliability("a", calibration, calibration), "series-1")) == 1


def test_plots_of_nothing_are_empty_axes():
    empty = measure_calibration(np.empty((0, 3), dtype=np.float32), np.empty(0, dtype=np.int64))
    assert "svg" in plot_reliability("a", empty, None)
    assert "svg" in plot_coverage("a", (np.empty(0), np.empty(0)))
    assert "svg" in plot_curves("a", [Curve([(1, math.nan)], 0)], "Loss")


def test_curves_are_made_of_the_columns_that_have_values():
    epochs = [{"epoch": 1, "loss/train": 2.0, "loss/test": None}, {"epoch": 2, "loss/train": None, "loss/test": None}]
    (curve,) = make_curves(epochs, {"loss/train": 0, "loss/val": 2, "loss/test": 1})
    assert curve.color == 0
    assert curve.points[0] == (1, 2.0)
    assert math.isnan(curve.points[1][1])
