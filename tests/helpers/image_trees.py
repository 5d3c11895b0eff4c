"""Random folders of images whose classes and splits are known, for the fuzzer of layouts."""

import os
import random
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

VARIANTS = {
    "train": ("train", "Train", "TRAINING", "training_set", "trn", "train2017", "Train data", "train-images", "train_"),
    "val": ("val", "Valid", "validation", "DEV", "val2017", "valid_set", "Validation Images"),
    "test": ("test", "Testing", "tst", "test1", "test_data", "TEST-SET", "testset"),
}
CLASSES = ("cat", "Dog", "größe", "é", "=1+1", "-rf", "%s {0}", "👩\u200d🔬", "CON", "a.png", "a b", "$x$", "images")
BAD_CLASSES = ("a\nb", "a\x1b[31m", "a\u202eb", "a\udcff", " ")
IMAGES = (".png", ".JPG", ".jpeg", ".webp", ".Tif", ".bmp", ".gif")
OTHERS = (".txt", ".cr2", ".svg", "", ".png~", ".csv", ".DNG")
STEMS = ("{}", "{} (1)", "ä{}", "a\u0308{}", "{}\n", "{}\x1b[2J", "{}\udcfe", "-{}", "{}'\"", "x{}.png", "#{}", "{}\\a")


@dataclass
class Tree:
    """A folder that is written at random, and what is known of it.

    Args:
        root: The folder.
        random: Source of all choices.
        folders: Names of the folders of the splits.
        names: Names of the classes.
        truth: Class and split ("" for none) of every image that must be used, by its path.
        refused: Whether the folder must be refused.
    """

    root: Path
    random: random.Random
    folders: dict[str, str] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    truth: dict[str, tuple[str, str]] = field(default_factory=dict)
    refused: bool = False

    def write_images(self, folder: Path, name: str, split: str, count: int, depth: int = 0) -> None:
        """Write images of a class to a folder, other files between them, subfolders and links."""
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            stem = self.random.choice(STEMS).format(f"{number}-{depth}")
            path = folder / f"{stem}{self.random.choice(IMAGES)}"
            if self.random.random() < 0.1:
                target = self.root.parent / "pool" / f"{len(self.truth)}.png"
                target.touch()
                path.symlink_to(target)
            else:
                path.touch()
            self.truth[str(path)] = unicodedata.normalize("NFC", name), split
        for number in range(self.random.choice((0, 0, 1, 3))):
            stem = self.random.choice(STEMS).removesuffix(".png").format(f"o{number}")
            self.write_other(folder, f"{stem}{self.random.choice(OTHERS)}")
        if depth < 2 and self.random.random() < 0.3:
            inner = self.random.choice(("more", "x.jpg", "train", "cat", "ünder", "a\nb"))
            self.write_images(folder / inner, name, split, self.random.randint(0, 2), depth + 1)
        if depth < 3 and self.random.random() < 0.05:
            pool = self.root.parent / "pool" / f"folder{len(self.truth)}"
            (folder / "link").symlink_to(pool)
            count = len(self.truth)
            self.write_images(pool, name, split, 1, depth=2)
            for path in list(self.truth)[count:]:
                self.truth[path.replace(str(pool), str(folder / "link"), 1)] = self.truth.pop(path)

    def write_other(self, folder: Path, name: str) -> None:
        """Write a file or a link that is no image of a class, or an empty or a hidden folder."""
        folder.mkdir(parents=True, exist_ok=True)
        kind = self.random.choice(("file", "file", "hidden", "dangling", "loop", "hidden folder", "empty", "up"))
        if kind == "file":
            (folder / name).touch()
        elif kind == "hidden":
            (folder / f".{name}.png").touch()
        elif kind == "dangling":
            (folder / name).symlink_to("missing")
        elif kind == "loop":
            (folder / name).symlink_to(name)
        elif kind == "hidden folder":
            (folder / f".{name}").mkdir()
            (folder / f".{name}" / "1.png").touch()
        elif folder != self.root and folder.parent != self.root and not os.path.lexists(folder / f"{name}d"):
            (folder / f"{name}d").mkdir() if kind == "empty" else (folder / f"{name}d").symlink_to(self.root)


def write_tree(root: Path, chosen: random.Random) -> Tree:
    """Write a folder of images in a random layout, and return what is known of it."""
    tree = Tree(root, chosen)
    (root.parent / "pool").mkdir(parents=True)
    names = chosen.sample(CLASSES, chosen.randint(2, 5))
    splits = chosen.choice(
        (("",), ("train",), ("train", "val"), ("train", "test"), ("train", "val", "test"), ("test",))
    )
    folders = {split: chosen.choice(VARIANTS[split]) if split else "" for split in splits}
    tree.folders, tree.names = folders, names
    for split, folder in folders.items():
        for name in names:
            if split == splits[0] or name == names[0] or chosen.random() < 0.9:
                form = chosen.choice(("NFC", "NFD"))
                parent = root / folder / unicodedata.normalize(form, name)
                tree.write_images(parent, name, split, chosen.randint(3, 6))
    for parent in {root, *(root / folder for folder in folders.values())}:
        for number in range(chosen.choice((0, 0, 2))):
            tree.write_other(parent, f"other{number}{chosen.choice(OTHERS + IMAGES)}")
    change = chosen.choice(CHANGES)
    if change is not None and (splits[0] or change not in NEED_SPLITS):
        change(tree)
    return tree


def add_folder(tree: Tree) -> None:
    """Add a folder next to those of the splits, which are then counted as unused."""
    tree.write_images(tree.root / tree.random.choice(("old", "raw data", "a\nb")), "", "", 2)
    tree.truth = {path: value for path, value in tree.truth.items() if value[0]}


def add_second_name(tree: Tree) -> None:
    """Add a second folder for a split."""
    split = tree.random.choice(list(tree.folders))
    other = tree.random.choice([name for name in VARIANTS[split] if name != tree.folders[split]])
    tree.write_images(tree.root / other / tree.names[0], tree.names[0], split, 2)
    tree.refused = True


def add_bad_class(tree: Tree) -> None:
    """Add a class whose name cannot be printed."""
    folder = tree.random.choice(list(tree.folders.values()))
    tree.write_images(tree.root / folder / tree.random.choice(BAD_CLASSES), "", "", 2)
    tree.refused = True


def add_class(tree: Tree) -> None:
    """Add a class to another split than the first, to a flat folder one with the name of a split."""
    if len(tree.folders) > 1:
        tree.write_images(tree.root / list(tree.folders.values())[-1] / "zebra", "zebra", list(tree.folders)[-1], 2)
        tree.refused = True
    elif "" in tree.folders:
        name = tree.random.choice(("train", "Test", "valid", "dev"))
        tree.write_images(tree.root / name, name, "", 3, depth=3)


def invert(tree: Tree) -> None:
    """Write the splits below the classes, next to nothing else."""
    shutil.rmtree(tree.root)
    for name in tree.names:
        for split in ("train", "test"):
            tree.write_images(tree.root / name / VARIANTS[split][0], name, split, 2)
    tree.refused = True


def leave_out_classes(tree: Tree) -> None:
    """Move the images of a split out of the class folders."""
    folder = tree.root / tree.random.choice(list(tree.folders.values()))
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "1.png").touch()
    tree.refused = True


def rename_splits(tree: Tree) -> None:
    """Give the folders of the splits names that look like splits, but are not known."""
    for split, folder in tree.folders.items():
        (tree.root / folder).rename(tree.root / tree.random.choice((f"seg_{split}", f"my {split} x", f"01-{split}")))
    tree.refused = True


def wrap(tree: Tree) -> None:
    """Move everything to a subfolder of the root."""
    tree.root.rename(tree.root.parent / "wrapped")
    tree.root.mkdir()
    (tree.root.parent / "wrapped").rename(tree.root / "wrapped")
    tree.refused = True


def empty_class(tree: Tree) -> None:
    """Add a class folder without images."""
    (tree.root / tree.random.choice(list(tree.folders.values())) / "zebra").mkdir()
    tree.refused = True


NEED_SPLITS = (add_folder, add_second_name, leave_out_classes, rename_splits)
CHANGES = (*[None] * 10, *NEED_SPLITS, add_bad_class, add_class, invert, wrap, empty_class)
