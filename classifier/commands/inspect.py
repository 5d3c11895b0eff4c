"""Describe a dataset before it is trained on: what it contains, and what is wrong with it."""

import json
from pathlib import Path
from typing import Literal

from classifier.analysis.contact_sheet import plot_findings
from classifier.analysis.description import describe_problems, to_dict, to_text
from classifier.analysis.findings import Findings, find_problems
from classifier.analysis.inspection import Inspection, inspect_data
from classifier.data.base import ImageDataModule
from classifier.errors import UserError, make_printable, require
from classifier.files import atomic_write
from classifier.tables import report_failures


def inspect(
    data: ImageDataModule,
    output: str = "inspect.png",
    format: Literal["text", "json"] = "text",  # noqa: A002 the name of the option
    strict: bool = False,
) -> None:
    """Describe a dataset: images per class, sizes, unreadable files, duplicates, leaks and conflicting labels.

    Args:
        data: The dataset, such as ImageFolder; --data.help ImageFolder shows its options.
        output: PNG file to write, with the first pair of images of every kind that was found. It is not written if
            there is nothing to show.
        format: text prints one screen; json prints everything that was found as JSON.
        strict: Whether to exit with status 1 if something is wrong: unreadable files, images that are in two
            splits, conflicting labels, or classes that are too small.

    Raises:
        UserError: Files cannot be found, the picture cannot be written, or with `strict`, something is wrong.
    """
    path = Path(output)
    require(path.suffix.lower() == ".png", f"--output {make_printable(path)}: the name must end in .png")
    if not path.parent.is_dir():
        raise UserError(f"--output {make_printable(path)} cannot be written: there is no folder of this name")
    inspection = inspect_data(data)
    findings = find_problems(inspection)
    is_written = write_contact_sheet(inspection, findings, path)
    if format == "json":
        print(json.dumps({**to_dict(inspection, findings), "picture": str(path) if is_written else None}, indent=2))
    else:
        print(to_text(inspection, findings))
        written = make_printable(path) if is_written else "not written, because there is nothing to show"
        print(f"contact sheet: {written}")
    if strict and (problems := describe_problems(inspection, findings)):
        raise UserError(f"{inspection.name} has problems: {'; '.join(problems)}")


def write_contact_sheet(inspection: Inspection, findings: Findings, path: Path) -> bool:
    """Write the picture of the findings atomically, and return whether there is one."""
    figure = plot_findings(inspection, findings)
    if figure is None:
        return False
    with report_failures(path), atomic_write(path) as unfinished:
        figure.savefig(unfinished, format="png")
    return True
