"""Images of the user, in one folder per class."""

import math
import unicodedata
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from classifier.data.base import ImageDataModule
from classifier.data.cache import DiskCache
from classifier.data.contents import load_contents
from classifier.data.decoding import Decoding
from classifier.data.listing import list_image_files, list_subfolders
from classifier.data.sources import ImagesInFiles, ImagesInMemory, ImageSource
from classifier.errors import UserError, one_line
from classifier.hparams import NOT_NEGATIVE, POSITIVE, Limit


class ImageFolder(ImageDataModule):
    """Images of your own, in folders named after their classes.

    The root contains either `train/<class>/` and `test/<class>/`, or only `<class>/`. In the second case, a fixed
    fraction of every class becomes the test set. Hidden files, and files without the extension of an image format, are
    skipped. Images can have any format and size; `read_image` describes how they are resized.

    Decoded images are cached on disk in `.cache/` under the root, if it can be written to. The cache is replaced when
    the name, size or modification time of a file changes.

    Args:
        root: Folder that contains the folders of at least two classes, or `train/` and `test/`.
        image_size: Height and width of all images after resizing in pixels, above 0.
        channels: 3 for RGB, 1 for grey.
        test_split: Fraction of every class that becomes the test set if there is no `test/`; above 0 and below 1.
        cache: Memory limit of the decoded images in megabytes (10^6 bytes), at least 0. If they need more, they are
            decoded again in every epoch.
        batch_size: Images per training step, on each device; above 0.
        **kwargs: Further arguments of ImageDataModule.

    Raises:
        SettingError: An argument is out of range.
        UserError: There are fewer than two class folders, one has a name that cannot be printed, or files cannot be
            read.
    """

    mean = (0.5,)  # as for CIFAR10; the base's mean of 0 and std of 1 would leave all inputs positive
    std = (0.5,)
    limits: ClassVar[dict[str, Limit]] = {
        "image_size": POSITIVE,
        "test_split": ("above 0 and below 1", lambda fraction: 0 < fraction < 1),
        "cache": NOT_NEGATIVE,
    }
    largest: ClassVar[dict[str, int]] = {"image_size": 5000}

    def __init__(
        self,
        root: str,
        image_size: int = 32,
        channels: Literal[1, 3] = 3,
        test_split: float = 0.2,
        cache: int = 1000,
        batch_size: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, **kwargs)
        self.image_shape = (channels, image_size, image_size)
        self.class_names = self._find_classes(Path(root))
        self.source: ImageSource | None = None

    def _find_classes(self, root: Path) -> tuple[str, ...]:
        """Return the names of the class folders, and set `has_split_folders`.

        Raises:
            UserError: There are fewer than two class folders, one has a name that cannot be printed, `test/` has none,
                or it has one that `train/` lacks.
        """
        train, test = root / "train", root / "test"
        self.has_split_folders = bool(list_subfolders(train))
        class_names = list_subfolders(train if self.has_split_folders else root)
        if len(class_names) < 2:
            raise UserError(
                f"{root} must contain a folder for each of two or more classes, or train/ and test/ that do"
            )
        # TensorBoard and files of results take UTF-8 only, and control characters would garble the terminal.
        if unprintable := [name for name in class_names if {unicodedata.category(c) for c in name} & {"Cc", "Cs"}]:
            raise UserError(f"{root}: rename the folder {unprintable[0]!a}: a class name must be printable")
        if self.has_split_folders:
            tested = list_subfolders(test)
            if not tested:
                raise UserError(
                    f"{root} has train/ with class folders, but no test/ with class folders: add test/, or test on a "
                    f"fraction of the images with --data.root {train}"
                )
            if unknown := sorted(set(tested) - set(class_names)):
                raise UserError(f"{root}: test/ has classes that train/ does not have: {', '.join(unknown)}")
        return class_names

    def _list_files(self, folder: Path) -> tuple[list[str], list[int]]:
        """Return the image files in the class folders of `folder`, and their labels."""
        found = [list_image_files([folder / name]) if (folder / name).is_dir() else [] for name in self.class_names]
        return [*chain(*found)], [label for label, files in enumerate(found) for _ in files]

    def _split_files(self) -> tuple[list[str], list[str], list[int], list[int]]:
        """Return training files, test files, training labels and test labels.

        Raises:
            UserError: A class has too few images to be split.
        """
        root = Path(self.hparams.root)
        if self.has_split_folders:
            (train, train_labels), (test, test_labels) = (self._list_files(root / split) for split in ("train", "test"))
            return train, test, train_labels, test_labels
        from sklearn.model_selection import train_test_split

        files, labels = self._list_files(root)
        names, fraction = [self.class_names[label] for label in labels], self.hparams.test_split
        try:
            return train_test_split(files, labels, test_size=fraction, stratify=names, random_state=0)
        except ValueError as error:
            raise UserError(f"{root} cannot be split: {one_line(error)}") from error

    def prepare_data(self) -> None:
        """Find and decode the files, and write the cache, which processes that start later read.

        Raises:
            UserError: Files cannot be read, or a class has too few images to be split.
        """
        self._load_source()

    def _load_source(self) -> ImageSource:
        """Return the source of all images, the training images first; it is created once."""
        if self.source is None:
            train, test, train_labels, test_labels = self._split_files()
            self.num_train, self.labels = len(train), torch.tensor(train_labels + test_labels)
            files = ImagesInFiles(train + test, Decoding(self.image_shape))
            in_memory = len(files) * math.prod(self.image_shape) <= self.hparams.cache * 10**6
            contents = load_contents(files, in_memory, DiskCache(), len(train))
            if contents.problems:
                problems = "; ".join(contents.problems)
                raise UserError(f"repair or remove {len(contents.problems):,} of {len(files):,} files: {problems}")
            if contents.images is not None:
                self.source = ImagesInMemory(contents.images, files.paths, contents.hashes)
            else:
                self.source = ImagesInFiles(
                    files.paths, files.decoding._replace(max_value=contents.max_value), contents.hashes
                )
        return self.source

    def read(self, split: str) -> tuple[ImageSource, Tensor]:
        """Return images (N, C, H, W), in memory or in files, and labels (N,) of "train" or "test"."""
        source = self._load_source()
        first, last = (0, self.num_train) if split == "train" else (self.num_train, len(self.labels))
        return source.subset(range(first, last)), self.labels[first:last]
