"""Random CSV files of images whose classes and splits are known, for the fuzzer of layouts."""

import csv
import io
import random
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

CLASSES = ("cat", "Dog", "größe", "=1+1", "-rf", "a,b;c", 'say "x"', "👩\u200d🔬", "train", "tab\u00a0x")
SPLITS = {
    "train": ("train", "Training", "TRAIN", "trn"),
    "val": ("val", "valid", "Validation", "dev"),
    "test": ("test", "TEST", "testing", "Test set"),
}
PATHS = ("{}.png", "a/{}.png", "./a/{}.png", "a//{}.jpg", "../x/{}.png", "ä/{}.png", "a b/{}, 1.png", 'a"{}".png')
FORMS = ("{}.x/../{}.png", "a\\{}.png", "{}\u0301.png", "{}", "#{}", "-{}.png", "{root}/abs/{}.png")
NOTES = ("", "note", "two\nlines", "a;b;c;d", 'say "hi"', "\t\t", "x" * 200, "null\0")


@dataclass
class Table:
    """A table, and what is known of it.

    Args:
        file: The CSV file.
        truth: Class and split ("" for none) of every image by its absolute path.
        message: Part of the message with which the table must be refused, or "" if it must be read.
    """

    file: Path
    truth: dict[str, tuple[str, str]] = field(default_factory=dict)
    message: str = ""


def write_table(root: Path, chosen: random.Random) -> Table:
    """Write a table in a random style, some with one wrong row, and return what is known of it."""
    table = Table(root / chosen.choice(("labels.csv", "a b\n.csv", "ü.tsv")))
    rows, names = make_rows(root, chosen)
    table.truth = {path: (unicodedata.normalize("NFC", label), split) for path, label, split in names}
    wrong = spoil(rows, chosen) if chosen.random() < 0.4 else None
    columns = ["path", "label", *(name for name in ("split", "group") if rows[0][name] is not None), "note", "x;y"]
    chosen.shuffle(columns)
    end = chosen.choice(("\n", "\r\n", "\r"))
    # csv.writer does not quote the line break that is not its own.
    quoting = csv.QUOTE_ALL if end == "\r" else chosen.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    style = {"delimiter": chosen.choice(",;\t"), "lineterminator": end, "quoting": quoting}
    text, line = io.StringIO(), 1
    writer = csv.writer(text, **style)
    for number, row in enumerate([dict(zip(columns, columns, strict=True)), *rows]):
        if row.get("raw") is not None:
            text.write(row["raw"] + end)
        else:
            writer.writerow([row[name] for name in columns] + row.get("more", []))
        if wrong is not None and number == wrong[0] + 1:
            table.message = f"line {line}: {wrong[1]}"
        line = count_lines(text.getvalue())
        if chosen.random() < 0.1:
            text.write(chosen.choice(("", " ", style["delimiter"])) + end)
            line = count_lines(text.getvalue())
    content = text.getvalue().encode(chosen.choice(("utf-8", "utf-8-sig")))
    table.file.write_bytes(content.replace(b"%latin1%", b"gr\xfc\xdfe"))
    return table


def count_lines(text: str) -> int:
    """Return the number of the line that follows a text, from 1."""
    return len(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def make_rows(root: Path, chosen: random.Random) -> tuple[list[dict], list[tuple[str, str, str]]]:
    """Return the rows of a table, and the absolute path, the class and the split of each of them."""
    has_splits, has_groups = chosen.random() < 0.5, chosen.random() < 0.4
    labels, rows, names = chosen.sample(CLASSES, chosen.randint(2, 4)), [], []
    for number in range(chosen.randint(8, 20) * len(labels)):
        label = labels[number % len(labels)]
        # The first two images of a class are for training, in groups of their own, so that it can be split.
        split = chosen.choice(list(SPLITS)) if has_splits and number >= 2 * len(labels) else "train"
        form = chosen.choice(PATHS + FORMS).replace("{root}", str(root))
        path = form.replace("{}", str(number))
        group = "" if chosen.random() < 0.3 else f"{split} group {number % 7 if number >= 2 * len(labels) else -number}"
        written = unicodedata.normalize(chosen.choice(("NFC", "NFD")), label)
        rows.append(
            {
                "path": path,
                "label": written,
                "split": chosen.choice(SPLITS[split]) if has_splits else None,
                "group": group if has_groups else None,
                "note": chosen.choice(NOTES),
                "x;y": number,
            }
        )
        names.append((str(_clean(root, path)), label, split if has_splits else ""))
    return rows, names


def _clean(root: Path, path: str) -> Path:
    """Return an absolute path without "." and ".."."""
    parts: list[str] = []
    for part in (root / path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return Path(*parts)


def spoil(rows: list[dict], chosen: random.Random) -> tuple[int, str]:
    """Make a row wrong, and return its index and a part of the message with which it must be refused."""
    index = chosen.randrange(1, len(rows))
    row = rows[index]
    kinds = ["path", "label", "null", "class", "twice", "cells", "few", "huge", "quote", "latin1"]
    kind = chosen.choice(kinds + ["split"] * (row["split"] is not None) * 2)
    if kind in ("path", "label"):
        row[kind] = chosen.choice(("", " "))
        return index, f"the {'path' if kind == 'path' else 'class'} is empty"
    if kind == "null":
        row["path"] += "\0"
        return index, "the path contains a null"
    if kind == "class":
        row["label"] = chosen.choice(("a\x1b[31m", "a\nb", "a\u202eb", "n\0"))
        return index, "rename the class"
    if kind == "twice":
        row["path"] = chosen.choice(("./{}", "x/../{}", "{}")).format(rows[0]["path"]).replace(".//", "/")
        row["path"] = rows[0]["path"] if rows[0]["path"].startswith("/") else row["path"]
        row["split"], row["group"] = rows[0]["split"], rows[0]["group"]
        return index, ""
    if kind == "cells":
        row["more"] = ["x"]
        return index, "the number of values is"
    if kind == "few":
        row["raw"] = "x"
        return index, "the number of values is 1"
    if kind == "huge":
        row["note"] = "x" * 140_000
        return index, "field larger than field limit"
    if kind == "quote":
        row["raw"] = '"x'
        return index, ""
    if kind == "latin1":
        row["note"] = "%latin1%"
        return index, ""
    row["split"] = chosen.choice(("", "tran", "trainer", "0", "train\nx"))
    return index, "the split is"
