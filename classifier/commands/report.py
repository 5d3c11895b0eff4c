"""Evaluate runs, compare them, and write a page that shows how far their results can be trusted."""

import html
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse.typing import PositiveInt
from lightning.pytorch.utilities import rank_zero_only

from classifier.analysis.results.contents import Report, make_report
from classifier.analysis.results.evaluate import evaluate_run, make_trainer
from classifier.analysis.results.loading import LoadedRun, load_run
from classifier.analysis.results.text import to_text
from classifier.errors import UserError, make_printable, require
from classifier.runs.folders import find_checkpoint
from classifier.tables import check_output, open_output

CONTENTS = "the report is written as HTML"
FRAME_HEIGHT = 800  # pixels of the page in a notebook


class ReportPage:
    """A report that a notebook shows as a page.

    Args:
        report: The contents.
        text: The short form.
        page: HTML of the page.
    """

    def __init__(self, report: Report, text: str, page: str) -> None:
        self.report, self.text, self.page = report, text, page

    def __repr__(self) -> str:
        """Return the short form."""
        return self.text

    def _repr_html_(self) -> str:
        """Return the page in a frame of its own, so that neither its style nor the notebook's affects the other."""
        source = html.escape(self.page)
        return f'<iframe srcdoc="{source}" style="width: 100%; height: {FRAME_HEIGHT}px; border: 0"></iframe>'

    def save(self, output: str) -> None:
        """Write the page to an HTML file, atomically.

        Raises:
            UserError: The file cannot be written.
        """
        check_output(output, (".html",), CONTENTS)
        with open_output(output) as file:
            file.write(self.page)


def report(
    runs: list[str],
    output: str = "report.html",
    accelerator: str = "auto",
    devices: PositiveInt = 1,
    precision: str = "32-true",
    data: dict[str, Any] = {},  # noqa: B006 never changed; jsonargparse shows it in the help
    allow_import: list[str] = [],  # noqa: B006
) -> ReportPage | None:
    """Evaluate runs on their test images as test does, compare them, and write a page with the results.

    Args:
        runs: The runs: last or best of the newest run, a run's name or folder, or a .ckpt file.
        output: HTML file to write. It contains its pictures and needs no other file.
        accelerator: Lightning's name of the device to compute on, such as auto, cpu or gpu.
        devices: Number of devices, each with a process of its own.
        precision: Precision of the computation, such as 32-true or bf16-mixed.
        data: Settings of the dataset that replace those in the checkpoints; --data.root moved is the folder to which
            the images have moved.
        allow_import: Packages of your own that the checkpoints' classes may be imported from.

    Returns:
        The report, which a notebook shows; None in all processes but the first.

    Raises:
        UserError: A checkpoint does not exist or cannot be used, images are missing, or the page cannot be written.
    """
    loaded = load_runs([runs] if isinstance(runs, str) else runs, output, data, allow_import)
    trainer = make_trainer(accelerator, devices, precision)
    if trainer.local_rank == 0:
        for item in loaded:  # before the first evaluation, and before further processes are started
            item.data.prepare_data()
    evaluated = []
    while loaded:
        evaluated.append(evaluate_run(loaded.pop(0), trainer))  # frees the network
    results = [run for run in evaluated if run is not None]
    if not results:
        return None
    from classifier.pages.page import render_page  # with matplotlib, after the errors of users

    contents = make_report(results)
    page = ReportPage(contents, to_text(contents), render_page(contents))
    page.save(output)
    print(f"{page.text}\n\nreport: {make_printable(output)}", flush=True)
    return page


def load_runs(names: list[str], output: str, data: dict[str, Any], allow_import: list[str]) -> list[LoadedRun]:
    """Find and load the checkpoints of all runs, and check the output.

    Runs with equal settings of their data share one dataset, whose images are read once. A checkpoint that is named
    twice, such as last and best, is loaded once.

    Raises:
        UserError: A run cannot be evaluated, or the output cannot be written.
    """
    require(bool(names), "give at least one run")
    check_output(output, (".html",), CONTENTS)
    found: dict[Path, Path] = {}
    for name, path in [(name, find_run(name)) for name in names]:
        if found.setdefault(path.resolve(), path) is not path:
            print_line(f"{make_printable(name)} also means {make_printable(path)}, which is evaluated once")
    loaded: list[LoadedRun] = []
    for path in found.values():
        print_line(f"checkpoint: {make_printable(path)}")
        loaded.append(load_run(path, data, allow_import, [item.data for item in loaded]))
        for note in loaded[-1].notes:
            print_line(note)
    return set_unique_names(loaded)


def find_run(name: str) -> Path:
    """Return the checkpoint file of a run; see `find_checkpoint`.

    Raises:
        UserError: There is no such run.
    """
    try:
        return find_checkpoint(name)
    except UserError as error:
        raise UserError(str(error).removeprefix("--ckpt_path ")) from error  # this command has no such option


def set_unique_names(runs: list[LoadedRun]) -> list[LoadedRun]:
    """Return the runs, with the path of the checkpoint in place of a name that occurs more than once."""
    counts = Counter(run.name for run in runs)
    return [replace(run, name=str(run.checkpoint)) if counts[run.name] > 1 else run for run in runs]


@rank_zero_only
def print_line(text: str) -> None:
    """Print a line in the first process."""
    print(text, flush=True)
