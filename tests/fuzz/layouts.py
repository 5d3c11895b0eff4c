"""Fuzzer of ImageFolder and ImageTable: random folders and tables of images whose classes and splits are known.

    python tests/fuzz/layouts.py --count 5000 --seed 0

The files are empty, and nothing is decoded. The allowed results are that every image has its own class and split and
that every other file is counted as unused, or a UserError of one line where the folder or the table must be refused.
"""

import contextlib
import io
import os
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `python tests/fuzz/layouts.py`
from helpers.fuzzing import run_fuzzer
from helpers.image_tables import Table, write_table
from helpers.image_trees import Tree, write_tree

from classifier import ImageFolder, ImageTable
from classifier.data.own_images.cache_entries import Contents
from classifier.data.own_images.file_base import FileDataModule
from classifier.data.sources import ImagesInFiles
from classifier.errors import UserError


def pretend_to_decode(files: ImagesInFiles, *_: object, **__: object) -> Contents:
    """Return the contents of files as if all of them were readable."""
    numbers = torch.arange(len(files))
    return Contents(numbers, numbers, [], None, 0, 255)


def read(data: FileDataModule) -> dict[str, tuple[str, str]]:
    """Return the class and the split of every image of a dataset by its path.

    Raises:
        ValueError: An image is used several times.
    """
    data.prepare_data()
    used = {}
    for split, (first, last) in data.bounds.items():
        for index in range(first, last):
            path = os.path.abspath(data.source.name(index))  # noqa: PTH100 keeps links
            if path in used:
                raise ValueError(f"{path!r} is used twice")
            used[path] = data.class_names[data.labels[index]], split
    return used


def list_leaves(root: Path) -> set[str]:
    """Return all files, links and empty folders below a folder; links to folders are not followed."""
    leaves = set()
    for folder, subfolders, names in os.walk(root):
        links = [name for name in subfolders if Path(folder, name).is_symlink()]
        leaves |= {os.path.join(folder, name) for name in names + links}  # noqa: PTH118
    return leaves


def find_wrong(used: dict[str, tuple[str, str]], truth: dict[str, tuple[str, str]]) -> str | None:
    """Return a description of the first image that is missing, additional, or has another class or split."""
    if used.keys() != truth.keys():
        return f"missing {sorted(truth.keys() - used)[:3]}, additional {sorted(used.keys() - truth)[:3]}"
    given = {split for _, split in truth.values()}
    for path, (name, split) in truth.items():
        # Images of no split are in any; those of the training set may be held out for the test set.
        free = split == "" or (split == "train" and given == {"train"})
        if used[path][0] != name or (not free and used[path][1] != split):
            return f"{path!r} is {used[path]}, not {(name, split)}"
    return None


def check_folder(tree: Tree) -> str | None:
    """Read a folder, and return what is wrong with the result, or None."""
    data = ImageFolder(str(tree.root))
    used = read(data)
    if tree.refused:
        return f"it is not refused: classes {data.class_names}, splits {data.bounds}"
    unused = [name for names in data.list_files().unused.names.values() for name in names]
    if len(set(unused)) < len(unused) or set(unused) & used.keys():
        return "a file is counted twice"
    # A folder that is not read, or an image behind a link to a folder, is counted as a whole.
    counted = set(unused) | used.keys()
    parents = {str(parent) for path in used for parent in Path(path).parents}
    for leaf in list_leaves(tree.root):
        if not counted & {leaf, *map(str, Path(leaf).parents)} and leaf not in parents:
            return f"{leaf!r} is not counted"
    return find_wrong(used, tree.truth)


def check_table(table: Table) -> str | None:
    """Read a table, and return what is wrong with the result, or None."""
    used = read(ImageTable(str(table.file)))
    return f"it is not refused: {table.message}" if table.message else find_wrong(used, table.truth)


def check_message(case: Tree | Table, error: UserError) -> str | None:
    """Return what is wrong with an error message, or None."""
    message = str(error)
    if not message.isprintable():
        return f"the message is not one printable line: {message!r}"
    if isinstance(case, Table):
        expected = case.message
        return None if expected and expected in message else f"refused, expected {expected!r}: {message}"
    return None if case.refused else f"refused: {message}"


def find_fault(case: Tree | Table, check: Callable) -> str | None:
    """Read a folder or a table, and return what is wrong with the result or the printed lines, or None."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            fault = check(case)
        except UserError as error:
            fault = check_message(case, error)
        except Exception:
            fault = traceback.format_exc(limit=-3)
    printed = output.getvalue()
    if not fault and not (printed == "" or printed[:-1].isprintable()):
        fault = f"printed: {printed!r}"
    return fault


def fuzz(count: int, seed: int, first: int = 0) -> tuple[Counter, list[str]]:
    """Read random folders and tables.

    Args:
        count: Number of cases.
        seed: Seed of the cases.
        first: Number of the first case.

    Returns:
        The number of cases by kind and expected result, and one description per fault.
    """
    tried, faults = Counter(), []
    with mock.patch("classifier.data.own_images.file_base.load_contents", pretend_to_decode):
        for number in range(first, first + count):
            chosen = random.Random(f"{seed}/{number}")  # noqa: S311 no secret
            with tempfile.TemporaryDirectory() as name:
                if number % 2:
                    case, check = write_table(Path(name), chosen), check_table
                    refused = bool(case.message)
                else:
                    case, check = write_tree(Path(name, "images"), chosen), check_folder
                    refused = case.refused
                tried[f"{type(case).__name__.lower()} {'refused' if refused else 'read'}"] += 1
                if fault := find_fault(case, check):
                    faults.append(f"case {number}: {fault}")
    return tried, faults


if __name__ == "__main__":
    run_fuzzer(__doc__, fuzz, 5000)
