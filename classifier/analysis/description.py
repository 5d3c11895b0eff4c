"""Describe an inspected dataset: on one screen for people, and as plain values for scripts."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from classifier.analysis.file_facts import FileFacts
from classifier.analysis.findings import Findings, Pair, count_images
from classifier.analysis.inspection import Inspection
from classifier.columns import MAX_NAME, fit, measure
from classifier.errors import make_printable

MAX_CLASSES, MAX_EXAMPLES = 10, 2  # that are shown


def describe_problems(inspection: Inspection, findings: Findings) -> list[str]:
    """Return one short text for every kind of finding that makes a dataset unfit for use; `strict` fails for them.

    Args:
        inspection: What is known of a dataset.
        findings: What is wrong with it.
    """
    kinds = {
        "unreadable files": len(inspection.unreadable),
        "validation or test images that are also in the training set": len(findings.leaks),
        "validation or test images with a near duplicate in the training set": len(findings.near_leaks),
        "images with conflicting labels": len(findings.conflicts),
        "near duplicates with different labels": len(findings.near_conflicts),
        "classes that are too small": len(findings.small_classes),
        "splits that are not possible": int(inspection.split_problem is not None),
    }
    return [f"{kind}: {count:,}" for kind, count in kinds.items() if count]


def to_dict(inspection: Inspection, findings: Findings) -> dict[str, Any]:
    """Return everything that is known as values that JSON can contain. The keys are documented in `docs/data.md`.

    Args:
        inspection: What is known of a dataset.
        findings: What is wrong with it.
    """

    def describe(indices: Iterable[int]) -> list[dict[str, str]]:
        """Return name, class and split of images."""
        return [
            {
                "image": inspection.get_name(index),
                "class": inspection.class_names[int(inspection.labels[index])],
                "split": str(inspection.splits[index]),
            }
            for index in indices
        ]

    counts = count_images(inspection)
    return {
        "data": inspection.name,
        "image_shape": list(inspection.image_shape),
        "images": {split: dict(zip(inspection.class_names, row, strict=True)) for split, row in counts.items()},
        "files": None if inspection.files is None else asdict(inspection.files),
        "darkest": inspection.darkest,
        "brightest": inspection.brightest,
        "max_value": inspection.max_value,
        "unreadable": inspection.unreadable,
        "unused": inspection.unused,
        "duplicates": [describe(group) for group in findings.groups],
        "near_duplicates": [describe(pair) for pair in findings.near],
        "near_duplicates_are_complete": inspection.near_is_complete,
        "leaks": [describe(pair) for pair in findings.leaks],
        "near_leaks": [describe(pair) for pair in findings.near_leaks],
        "conflicts": [describe(pair) for pair in findings.conflicts],
        "near_conflicts": [describe(pair) for pair in findings.near_conflicts],
        "small_classes": findings.small_classes,
        "missing_classes": findings.missing,
        "split_problem": inspection.split_problem,
        "problems": describe_problems(inspection, findings),
    }


def to_text(inspection: Inspection, findings: Findings) -> str:
    """Return a description of about one screen, also for very many classes and findings.

    Args:
        inspection: What is known of a dataset.
        findings: What is wrong with it.
    """
    channels, height, width = inspection.image_shape
    lines = [
        f"{inspection.name}: {len(inspection.labels):,} images in {len(inspection.class_names):,} classes, decoded to "
        f"{width}x{height} pixels and {channels} channel{'s' * (channels != 1)}",
        "",
        *format_counts(inspection, findings),
        "",
    ]
    if inspection.files is not None:
        lines += format_files(inspection.files, inspection.image_shape)
    deep = "" if inspection.max_value is None else f"; white in files with more than 8 bits: {inspection.max_value:g}"
    if len(inspection.labels):
        lines += [f"intensities: {inspection.darkest} to {inspection.brightest} of 255{deep}"]
    lines += format_list("unreadable files", inspection.unreadable)
    for reason, names in inspection.unused.items():
        lines += format_list(f"files not used ({reason})", names, 1)
    return "\n".join(lines + format_findings(inspection, findings))


def format_findings(inspection: Inspection, findings: Findings) -> list[str]:
    """Return the lines about duplicates, leaks, conflicting labels and small classes.

    Args:
        inspection: What is known of a dataset.
        findings: What is wrong with it.
    """

    def join(indices: Sequence[int], sign: str) -> str:
        """Return the names, splits and classes of images in one line."""
        names = inspection.class_names
        return f" {sign} ".join(f"{inspection.get_name(i)} ({names[int(inspection.labels[i])]})" for i in indices)

    def format_pairs(title: str, pairs: list[Pair], sign: str = "~") -> list[str]:
        """Return the lines about pairs of images."""
        return format_list(title, [join(pair, sign) for pair in pairs[:MAX_EXAMPLES]], total=len(pairs))

    extra = sum(len(group) - 1 for group in findings.groups)
    duplicates = [join(group[:2], "=") for group in findings.groups[:MAX_EXAMPLES]]
    small = [
        f"{name}: {count:,} image{'s' * (count != 1)}"
        + (f", none in {' and '.join(findings.missing[name])}" if name in findings.missing else "")
        for name, count in findings.small_classes.items()
    ]
    complete = "" if inspection.near_is_complete else ", at least (the search ended early)"
    return [
        *format_list("exact duplicates of other images", duplicates, total=extra),
        *format_pairs(f"pairs of near duplicates{complete}", findings.near),
        *format_pairs("validation or test images that are also in the training set", findings.leaks, "="),
        *format_pairs("validation or test images with a near duplicate in the training set", findings.near_leaks),
        *format_pairs("images with conflicting labels", findings.conflicts, "="),
        *format_pairs("near duplicates with different labels", findings.near_conflicts),
        *format_list("classes with fewer than 3 images, or none in a split", small),
        *([f"images cannot be held out: {inspection.split_problem}"] if inspection.split_problem else []),
    ]


def format_list(title: str, texts: Sequence[str], shown: int = MAX_EXAMPLES, total: int | None = None) -> list[str]:
    """Return a line with a title and a number, and lines with the first texts; only "none" if the number is 0.

    Args:
        title: What the texts are about.
        texts: The texts, at least `shown` of them if there are so many.
        shown: Number of texts that are shown.
        total: The number in the title; by default, the number of texts.
    """
    total = len(texts) if total is None else total
    if not total:
        return [f"{title}: none"]
    return [f"{title}: {total:,}", *(f"  {make_printable(text)}" for text in texts[:shown])]


def format_counts(inspection: Inspection, findings: Findings) -> list[str]:
    """Return a table of images per class and split: the smallest classes, and the sum of all.

    Args:
        inspection: What is known of a dataset.
        findings: What is wrong with it; the classes in `small_classes` come first.
    """
    counts, names = count_images(inspection), inspection.class_names
    rows = [(name, [column[label] for column in counts.values()]) for label, name in enumerate(names)]
    rows.sort(key=lambda row: (row[0] not in findings.small_classes, sum(row[1])))
    width = min(MAX_NAME, max(9, *map(measure, names)))
    line = "{}" + (len(counts) + 1) * "{:>10}"
    table = [line.format(fit("class", width), *counts, "all")]
    shown = rows if len(rows) <= MAX_CLASSES + 1 else rows[:MAX_CLASSES]
    for name, numbers in shown:
        table.append(line.format(fit(name, width), *(f"{number:,}" for number in [*numbers, sum(numbers)])))
    if rest := [sum(numbers) for _, numbers in rows[len(shown) :]]:
        table.append(f"{len(rest):,} more classes, with {min(rest):,} to {max(rest):,} images")
    sums = [sum(column) for column in counts.values()]
    return [*table, line.format(fit("all", width), *(f"{number:,}" for number in [*sums, sum(sums)]))]


def format_files(files: FileFacts, image_shape: tuple[int, int, int]) -> list[str]:
    """Return the lines about the sizes and the kinds of pixels of files.

    Args:
        files: Facts about the files.
        image_shape: Channels, height and width of the decoded images.
    """
    (w0, w1, w2), (h0, h1, h2) = files.widths, files.heights
    low, middle, high = files.aspects
    modes = ", ".join(f"{mode} {count:,}" for mode, count in files.modes.items())
    return [
        f"sizes of files: {w1}x{h1} (median), widths {w0} to {w2}, heights {h0} to {h2}, width/height {low:.2f} to "
        f"{high:.2f} (median {middle:.2f})",
        f"files that are enlarged to {image_shape[2]}x{image_shape[1]}: {files.num_enlarged:,}",
        f"colour modes: {modes}",
    ]
