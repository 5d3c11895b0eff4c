"""Recognise how the user's folder of images is organised, or refuse it."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from classifier.data.own_images.listing import has_image_extension, list_direct_files, list_subfolders
from classifier.data.published.roots import describe_missing_folder
from classifier.data.splits import SPLITS, find_split, looks_like_split
from classifier.errors import UserError, make_printable

JOINERS = "\u200c\u200d"  # invisible characters that some scripts and emoji need
EXPECTED = "train/<class>/, val/<class>/ and test/<class>/, or only <class>/"


class Layout(NamedTuple):
    """Where the images of each class are.

    Args:
        class_names: Sorted names of the classes.
        folders: Folders that contain the class folders, by split: some of "train", "val" and "test", or only "" if the
            images are not split.
        classes: Path of every class folder by split and class name.
        unused: Names of the folders in the root that are not used.
    """

    class_names: tuple[str, ...]
    folders: dict[str, Path]
    classes: dict[str, dict[str, Path]]
    unused: tuple[str, ...]


def find_layout(root: Path, min_classes: int = 2) -> Layout:
    """Return how a folder is organised: split folders that contain class folders, or class folders only.

    Args:
        root: The folder. Names of split folders count in upper and lower case and in the usual variants; see
            `find_split`.
        min_classes: Number of classes that there must be, above 0.

    Raises:
        UserError: The folder does not exist, is organised in another way, or has a class that cannot be used.
    """
    if not root.is_dir():
        raise UserError(f"{describe_missing_folder(root)}: set --data.root to the folder of your images")
    names = list_subfolders(root)
    splits = _find_split_folders(root, names)
    if splits:
        folders = {split: root / splits[split] for split in SPLITS if split in splits}
        unused = tuple(name for name in names if name not in splits.values())
    else:
        _refuse_unreadable_splits(root, names)
        folders, unused = {"": root}, ()
    classes = {split: _find_classes(folder) for split, folder in folders.items()}
    first = next(iter(classes))
    class_names = tuple(sorted(classes[first]))
    if len(class_names) < min_classes:
        found = f"; there is only {make_printable(class_names[0])}/" if class_names else ""
        hint = _suggest_subfolder(root, names)
        raise UserError(f"{make_printable(folders[first])} must contain folders of two or more classes{found}{hint}")
    _refuse_ambiguous_folders(root, folders, unused, class_names)
    for split, found_classes in classes.items():
        if unknown := sorted(set(found_classes) - set(class_names)):
            raise UserError(
                f"{make_printable(folders[split])} has classes that {make_printable(folders[first])} does not have: "
                + make_printable(", ".join(unknown))
            )
    return Layout(class_names, folders, classes, unused)


def _refuse_ambiguous_folders(
    root: Path, folders: dict[str, Path], unused: tuple[str, ...], class_names: tuple[str, ...]
) -> None:
    """Refuse unused folders that may be splits under another name, or classes next to a single split.

    Raises:
        UserError: There is such a folder.
    """
    for name in unused:
        shared = set(map(normalise, list_subfolders(root / name))) & set(class_names)
        if (looks_like_split(name) and shared) or len(shared) == len(class_names):
            raise UserError(
                f"{make_printable(root / name)} contains class folders, but its name is none of train, val and test: "
                f"rename it, or move it out of {make_printable(root)}"
            )
    with_images = [name for name in unused if any(map(has_image_extension, list_direct_files(root / name)))]
    if len(folders) == 1 and len(with_images) > 1:  # which may be classes
        only = next(iter(folders.values()))
        raise UserError(
            f"{make_printable(root)} contains folders of images, such as {make_printable(with_images[0])}, next to "
            f"{make_printable(only.name)}/, which contains class folders: organise them as {EXPECTED}"
        )


def check_class_names(names: Iterable[str], where: str) -> None:
    """Check that class names can be printed and written to UTF-8 files, and differ after Unicode normalisation.

    Args:
        names: The names.
        where: What they were found in, for the error message.

    Raises:
        UserError: A name cannot be used. The message shows it.
    """
    known: dict[str, str] = {}
    for name in names:
        # Control characters would garble the terminal; the other categories cannot be encoded, or cannot be seen.
        categories = {unicodedata.category(character) for character in name if character not in JOINERS}
        if categories & {"Cc", "Cf", "Cs", "Zl", "Zp"} or not name.strip():
            raise UserError(f"{where}: rename the class {name!a}: a class name must be printable")
        normalised = normalise(name)
        if normalised in known:
            raise UserError(
                f"{where}: the class {known[normalised]!a} and the class {name!a} have the same name in Unicode: merge "
                "them"
            )
        known[normalised] = name


def normalise(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which names from different file systems are equal."""
    return unicodedata.normalize("NFC", name)


def make_key(path: str) -> str:
    """Return the path of an image relative to its dataset in a form that is the same on all operating systems."""
    return normalise(path).replace(os.sep, "/")


def _find_split_folders(root: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return the names of the split folders by split; none if no folder with such a name contains folders.

    Raises:
        UserError: Two folders are for the same split, or one of them contains images directly.
    """
    candidates = [(split, name) for name in names if (split := find_split(name))]
    if not any(list_subfolders(root / name) for _, name in candidates):
        return {}
    splits: dict[str, str] = {}
    for split, name in candidates:
        folder = root / name
        if not list_subfolders(folder):
            if any(map(has_image_extension, list_direct_files(folder))):
                raise UserError(
                    f"{make_printable(folder)} contains images, but no class folders: move them to "
                    f"{make_printable(name)}/<class>/, or move the folder out of {make_printable(root)}"
                )
            continue
        if split in splits:
            raise UserError(
                f"{make_printable(root)} has two folders for the same set of images: {make_printable(splits[split])} "
                f"and {make_printable(name)}: merge them, or move one away"
            )
        splits[split] = name
    return splits


def _refuse_unreadable_splits(root: Path, names: tuple[str, ...]) -> None:
    """Refuse class folders that are in fact folders of splits, or contain such folders.

    Raises:
        UserError: The names look like splits.
    """
    shown = make_printable(root)
    alike = [name for name in names if looks_like_split(name)]
    kinds = {find_split(name) or name for name in alike}
    if alike and (len(alike) == len(names) or len(kinds) > 1):
        raise UserError(
            f"the folders {make_printable(', '.join(alike))} in {shown} look like training and test "
            f"images, but are not organised as {EXPECTED}"
        )
    for name in names:
        inner = {split: child for child in list_subfolders(root / name) if (split := find_split(child))}
        if len(inner) > 1:
            if any(list_subfolders(root / name / child) for child in inner.values()):
                raise UserError(
                    f"{shown} has no class folders; did you mean --data.root {make_printable(root / name)}?"
                )
            raise UserError(
                f"{make_printable(root / name)} contains {make_printable(' and '.join(inner.values()))}: the folders "
                f"must be organised as {EXPECTED}"
            )


def _find_classes(folder: Path) -> dict[str, Path]:
    """Return the class folders in a folder by their normalised names.

    Raises:
        UserError: A class has a name that cannot be used.
    """
    names = list_subfolders(folder)
    check_class_names(names, make_printable(folder))
    return {normalise(name): folder / name for name in names}


def _suggest_subfolder(root: Path, names: tuple[str, ...]) -> str:
    """Return advice to use the only subfolder of a root, if that is organised as expected, or an empty text."""
    if len(names) == 1:
        inner = list_subfolders(root / names[0])
        if len(inner) > 1 or any(find_split(name) for name in inner):
            return f"; did you mean --data.root {make_printable(root / names[0])}?"
    return f": organise it as {EXPECTED}"
