"""Images of the user, in one folder per class."""

from pathlib import Path

from classifier.data.own_images.file_base import FileDataModule
from classifier.data.own_images.layout import find_layout, make_key
from classifier.data.own_images.listing import (
    HIDDEN,
    FolderId,
    LabelledFiles,
    identify,
    list_direct_files,
    list_image_files,
)
from classifier.errors import UserError, make_printable


class ImageFolder(FileDataModule):
    """Images of your own, in folders named after their classes.

    The root contains the folders `train`, `val` and `test`, or only some of them, each with a folder for every class;
    or only a folder for every class. Their names count in upper and lower case and in the usual variants, such as
    `Training`, `valid` and `test_set`. Class folders are read with all their subfolders.

    Without `test`, and without `val`, a fifth of the images becomes the test set (`test_split`). Which images these are
    depends on their own names only.
    """

    def find_classes(self, min_classes: int) -> tuple[tuple[str, ...], set[str]]:
        """Return the sorted names of the class folders, and the splits that have a folder.

        Raises:
            UserError: The folder does not exist, or is not organised as described above.
        """
        self.layout = find_layout(self.root, min_classes)
        return self.layout.class_names, set(self.layout.folders)

    def list_files(self) -> LabelledFiles:
        """Return the image files in all class folders.

        Raises:
            UserError: A class has no training images, a split has no images, or a folder cannot be listed.
        """
        found, root = LabelledFiles(), self.root
        for parent in dict.fromkeys([root, *self.layout.folders.values()]):
            for path in list_direct_files(parent):
                found.unused.add(HIDDEN if Path(path).name.startswith(".") else "not in a class folder", path)
        found.unused.add("folder of no split", *(str(root / name) for name in self.layout.unused))
        visited = self._identify_folders()
        first = next(iter(self.layout.classes))
        for split, classes in self.layout.classes.items():
            num_before = len(found.paths)
            for label, name in enumerate(self.class_names):
                if name not in classes:
                    continue
                folder = str(classes[name])
                paths, unused = list_image_files([folder], visited, may_be_empty=split != first)
                found.paths += paths
                found.labels += [label] * len(paths)
                found.keys += [make_key(f"{name}{path.removeprefix(folder)}") for path in paths]
                found.splits += [split] * len(paths)
                found.unused.merge(unused)
            if len(found.paths) == num_before:
                raise UserError(f"the class folders in {make_printable(self.layout.folders[split])} contain no images")
        return found

    def _identify_folders(self) -> set[FolderId]:
        """Return the identities of the root, the split folders and the class folders.

        A link to one of them in a class folder is not followed: it would give images of one class to another.

        Raises:
            UserError: Two of the class folders are the same folder, because one of them is a link.
        """
        known: dict[FolderId, Path] = {}
        for folder in (folder for classes in self.layout.classes.values() for folder in classes.values()):
            first = known.setdefault(identify(folder), folder)
            if first is not folder:
                raise UserError(
                    f"{make_printable(first)} and {make_printable(folder)} are the same folder: remove the link"
                )
        return {*known, *map(identify, (self.root, *self.layout.folders.values()))}

    def describe(self) -> str:
        """Return the root, for messages."""
        return make_printable(self.root)
