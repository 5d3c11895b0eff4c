"""The HTML page of a report: one file without scripts, styles or pictures from elsewhere."""

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from classifier.analysis.results.contents import Report, RunReport
from classifier.analysis.results.notable_images import MAX_TRUSTED_ERROR
from classifier.errors import make_printable
from classifier.pages import wording
from classifier.pages.comparison_section import make_comparison_section, plot_all_curves
from classifier.pages.pictures import Album
from classifier.pages.run_section import make_run_section
from classifier.pages.sentences import choose_digits, name_split, state_accuracy
from classifier.pages.svg import SERIES

FOLDER = Path(__file__).parent
MAX_RUNS = 6  # with a section of their own; the tables and comparisons contain all runs
NUM_PICTURES = 24  # of every kind, shared between the runs
MIN_PICTURES = 4  # of every kind for each run
MAX_TEXT = 1000  # characters


def render_page(report: Report) -> str:
    """Return the page of a report; equal reports have equal pages.

    The page can be viewed without a network and without scripts, which only sort tables. Texts are escaped, and
    characters that cannot be printed are replaced by question marks.
    """
    album = Album()
    comparisons = [
        make_comparison_section(f"comparison-{number}", comparison, report.runs, album)
        for number, comparison in enumerate(report.comparisons, 1)
    ]
    num_pictures = max(NUM_PICTURES // max(1, len(report.runs)), MIN_PICTURES)
    runs = [
        make_run_section(f"run-{number}", item, album, num_pictures)
        for number, item in enumerate(select_runs(report)[:MAX_RUNS], 1)
    ]
    script = read("sort.js")
    return (
        make_environment()
        .get_template("report.html")
        .render(
            report=report,
            runs=runs,
            comparisons=comparisons,
            curves=plot_all_curves(report) if len(report.runs) > 1 else [],
            answers=[state_accuracy(item) for item in report.runs],
            album=album,
            style=read("style.css"),
            script=script,
            max_trusted_error=MAX_TRUSTED_ERROR,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def select_runs(report: Report) -> list[RunReport]:
    """Return the runs that have a section: of a group over seeds, those whose images are compared, or the first."""
    compared = {run for comparison in report.comparisons for run in comparison.pair}
    left_out: set[int] = set()
    for group in report.groups:
        left_out |= set(group.runs) - (compared & {*group.runs} or {group.runs[0]})
    return [item for number, item in enumerate(report.runs) if number not in left_out]


@functools.cache
def read(name: str) -> Markup:
    """Return the text of a file of this package, which is inserted into the page without being escaped."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704


@functools.cache
def make_environment() -> jinja2.Environment:
    """Return the environment of the templates."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=show_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": wording.format_percent,
        "percent_interval": wording.format_percent_interval,
        "points": wording.format_points,
        "points_interval": wording.format_points_interval,
        "loss": wording.format_loss,
        "loss_interval": wording.format_loss_interval,
        "p_value": wording.format_p_value,
        "things": wording.count_things,
        "split": name_split,
        "digits": choose_digits,
        "short": wording.shorten,
        "sort_key": wording.format_sort_key,
        "series": lambda color: color % len(SERIES),
    }
    return environment


def show_text(value: Any) -> Any:
    """Return a value as the page shows it; every value of a template passes through this function.

    Texts come from names of files and classes. Characters that cannot be printed are replaced, among them those that
    reverse the direction of the text after them, and long texts are cut off.
    """
    if isinstance(value, Markup):
        return value
    text = make_printable(str(value))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
