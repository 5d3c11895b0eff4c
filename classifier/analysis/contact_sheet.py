"""A picture of the first image or pair of images of each kind of finding about a dataset."""

import torch
from matplotlib.figure import Figure

from classifier.analysis.findings import Findings
from classifier.analysis.inspection import Inspection
from classifier.plots import caption_file, plot_images


def select_images(inspection: Inspection, findings: Findings) -> list[tuple[str, list[int]]]:
    """Return the first images of each kind of finding, and two lines of a caption that describe the kind.

    A pair is shown once, under the most serious kind.

    Args:
        inspection: What is known of a dataset.
        findings: What is wrong with it.

    Returns:
        The text, and the indices of two images, or of one for a class that is too small.
    """
    pairs = {
        "same image,\ntwo splits": findings.leaks,
        "similar image,\ntwo splits": findings.near_leaks,
        "same image,\ntwo classes": findings.conflicts,
        "similar image,\ntwo classes": findings.near_conflicts,
        "same image,\ntwo files": [(group[0], group[1]) for group in findings.groups],
        "similar image,\ntwo files": findings.near,
    }
    selected: list[tuple[str, list[int]]] = []
    shown: set[frozenset[int]] = set()
    for kind, found in pairs.items():
        if first := next((pair for pair in found if frozenset(pair) not in shown), None):
            selected.append((kind, list(first)))
            shown.add(frozenset(first))
    for name in findings.small_classes:
        label = inspection.class_names.index(name)
        if images := (inspection.labels == label).nonzero()[0].tolist():
            selected.append(("class with\nfew images", images[:1]))
            break
    return selected


def plot_findings(inspection: Inspection, findings: Findings) -> Figure | None:
    """Return a figure of the first pair of each kind, side by side, or None if there is nothing to show.

    The captions contain the class, the kind of the finding, the split, and the end of the file's name.

    Args:
        inspection: What is known of a dataset.
        findings: What is wrong with it.
    """
    selected = select_images(inspection, findings)
    if not selected:
        return None
    indices = [index for _, images in selected for index in images]
    notes = [
        f"{kind}\n{inspection.splits[index]}\n{caption_file(inspection.get_name(index))}"
        for kind, images in selected
        for index in images
    ]
    labels = torch.from_numpy(inspection.labels)[indices]
    title = "the first example of each problem"
    return plot_images(inspection.get_images(indices), labels, inspection.class_names, notes=notes, title=title)
