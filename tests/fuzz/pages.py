"""Fuzzer of the page of a report: random results, and names that try to break the page.

    python tests/fuzz/pages.py --count 500 --seed 0

Every page is parsed. Its elements and their attributes must be those of the same report with harmless names, every
reference must have a target, no id may occur twice, and there must be no character that cannot be printed.
"""

import random
import re
import sys
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `python tests/fuzz/pages.py`
from helpers.fuzzing import run_fuzzer
from helpers.hostile_names import make_names
from helpers.html_pages import parse_page, read_structure
from helpers.reports import make_images, make_record, make_run, rename, report_run, report_several
from helpers.results import make_random

from classifier.analysis.results.contents import Report
from classifier.analysis.results.image_results import ImageResults
from classifier.pages.page import render_page

MAX_BYTES = 3_000_000
MAX_NAMES = 400


def make_results(chosen: random.Random) -> list[ImageResults]:
    """Return random results of one to three runs on the same images."""
    num_images, num_classes = chosen.choice((1, 2, 5, 40)), chosen.choice((1, 2, 3, 12, 25))
    scale, seed = chosen.choice((0.5, 3.0, 30.0)), chosen.randrange(1000)
    runs = [make_random(num_images, num_classes, seed + number, scale) for number in range(chosen.choice((1, 1, 2, 3)))]
    runs = [replace(run, labels=runs[0].labels) for run in runs]
    if chosen.random() < 0.1:
        runs = [run.select(np.empty(0, dtype=np.int64)) for run in runs]
    if chosen.random() < 0.2:
        runs = [replace(run, trained=np.arange(len(run)) % 2 == 0) for run in runs]
    if chosen.random() < 0.1:
        runs = [replace(run, losses=np.full(len(run), chosen.choice((np.nan, np.inf)))) for run in runs]
    return runs


def make_report(results: list[ImageResults], names: list[str], chosen: random.Random) -> Report:
    """Return a report whose names of runs, classes, images, settings and versions are given ones."""
    num_epochs, side, validated = chosen.choice((0, 1, 5)), chosen.choice((1, 8, 60)), chosen.random() < 0.5
    classes = len(results[0].class_names)
    runs = []
    for number, result in enumerate(results):
        named = rename(result, names[:classes], names[classes : classes + len(result)])
        first, second, third, fourth, fifth, sixth, *_ = names[100 + 10 * number :]
        record = replace(make_record(first, num_epochs), machine=second, versions={third: fourth}, reproduce=fifth)
        record_or_none = record if chosen.random() < 0.8 else None
        get_images = make_images(side, chosen.choice((1, 2, 3, 4)))
        validation = named if validated else None
        run = make_run(named, first, validation=validation, record=record_or_none, get_images=get_images)
        runs.append(replace(run, model=second, data=third, settings={fourth: fifth, "model.lr": sixth}))
    if len(runs) > 1:
        report = report_several(runs)
        settings = {names[200]: names[201 : 201 + len(runs)]}
        return replace(report, differing_settings=settings, problem=f"problem: {names[210]}")  # it is never empty
    return Report([report_run(runs[0])], {}, [], [], None)


def find_fault(case: str) -> str | None:
    """Render a random report, and return what is wrong with the page, or None."""
    chosen = random.Random(case)  # noqa: S311 no secret
    results = make_results(chosen)
    hostile = make_names(chosen, MAX_NAMES)
    harmless = [f"name {number}" for number in range(MAX_NAMES)]
    choices = chosen.randrange(10**6)
    try:
        page, other = (
            render_page(make_report(results, names, random.Random(choices)))  # noqa: S311 no secret
            for names in (hostile, harmless)
        )
        parse_page(page)
        if read_structure(page) != read_structure(other):
            return "the names have changed the elements of the page"
        if unprintable := {character for character in page if not character.isprintable()} - {"\n"}:
            return f"the page contains {unprintable!r}"
        if len(page.encode()) > MAX_BYTES:
            return f"the page has {len(page.encode()):,} bytes"
        if re.search(r"\bnan\b|\binf\b", parse_page(other).find("main")[0].text):
            return "an undefined number is shown"
    except Exception:
        return traceback.format_exc(limit=-3)
    return None


def fuzz(count: int, seed: int, first: int = 0) -> tuple[Counter, list[str]]:
    """Render random reports.

    Args:
        count: Number of cases.
        seed: Seed of the cases.
        first: Number of the first case.

    Returns:
        The number of cases by result, and one description per fault.
    """
    tried, faults = Counter(), []
    for number in range(first, first + count):
        fault = find_fault(f"{seed}/{number}")
        tried["wrong" if fault else "right"] += 1
        if fault:
            faults.append(f"case {number}: {fault}")
    return tried, faults


if __name__ == "__main__":
    run_fuzzer(__doc__, fuzz, 500)
