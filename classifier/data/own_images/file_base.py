"""Base class of the datasets that consist of the user's own image files."""

import math
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from classifier.data.base import ImageDataModule
from classifier.data.image_files.decoding import MAX_PIXELS, Decoding
from classifier.data.image_files.resizing import Resize
from classifier.data.own_images.cache import DiskCache, describe_old_cache
from classifier.data.own_images.cache_entries import Contents
from classifier.data.own_images.contents import load_contents
from classifier.data.own_images.found_files import FoundFiles, locate_problems, make_source, order_files
from classifier.data.own_images.layout import normalise
from classifier.data.own_images.listing import LabelledFiles
from classifier.data.own_images.repeats import describe_lost_classes, describe_repeats
from classifier.data.own_images.reports import check_contents, describe_found, report
from classifier.data.sources import ImageSource
from classifier.data.splits import Amount, assign_splits, list_splits
from classifier.errors import UserError, require
from classifier.hparams import LIMITS_FROM_DATA, LOCAL_PATH, NOT_NEGATIVE, POSITIVE, Limit


def is_size(value: Any) -> bool:
    """Return whether a value is a positive number, or a pair of them."""
    return all(size > 0 for size in value) and len(value) == 2 if isinstance(value, tuple) else value > 0


def is_test_split(value: Any) -> bool:
    """Return whether a value is a number of images, a fraction of them, "all" or None."""
    return value in (None, "all") or (value >= 0 and (isinstance(value, int) or value < 1))


class FileDataModule(ImageDataModule):
    """Base class of the datasets that consist of the user's own image files.

    A subclass finds the files and their labels. This class splits, decodes and checks them. Images can have any format
    and size; see `read_image`. They are decoded once and cached on disk, until the name, size or modification time of a
    file changes.

    Args:
        root: Folder that contains the folders of the splits or of the classes.
        image_size: Height and width of all images after resizing in pixels, above 0: one number, or [height, width].
        channels: 3 for RGB, 1 for grey.
        resize: How an image becomes this size. letterbox: it is resized to fit, and padded with the median colour of
            its border. crop: it is resized to cover the size, and cropped to the centre. stretch: its proportions
            change.
        max_value: Value that becomes white in images with more than 8 bits per channel; above 0. By default, it is
            chosen once for all images, by the highest value in the training images.
        max_pixels: Largest number of pixels that an image file may have.
        test_split: Number of images, or fraction below 1, that becomes the test set if there is none. all: every image
            is a test image. 0: there are no test images, and the validation images are evaluated in their place. By
            default a fifth, or none if there are validation images.
        cache: Memory limit of the decoded images in megabytes (10^6 bytes), at least 0. If they need more, every batch
            is read from the cache on disk or, if `cache_limit` is too low, decoded again in every epoch.
        cache_dir: Folder for decoded images; by default `classifier/images` in the user's folder for caches.
        cache_limit: Disk space for decoded images in megabytes (10^6 bytes), at least 0. The entries that were used
            least recently are deleted.
        skip_broken: Whether to leave out files that cannot be decoded. By default, they are an error.
        classes: Names of the classes in the order of their labels; by default those that are found, sorted. `test`
            sets the names in the checkpoint, so that images of some of the classes can be evaluated.
        batch_size: Images per training step, on each device; above 0.
        test_batch_size: Images per evaluation step, on each device; above 0. Photographs need more memory than the
            small images of other datasets.
        **kwargs: Further arguments of ImageDataModule.

    Raises:
        SettingError: An argument is out of range, or a split would leave a class without images.
        UserError: Files are missing or cannot be decoded.
    """

    mean = (0.5,)  # as for CIFAR10; the base's mean of 0 and std of 1 would leave all inputs positive
    std = (0.5,)
    limits: ClassVar[dict[str, Limit]] = {
        "image_size": ("above 0: one number, or [height, width]", is_size),
        "max_value": ("above 0", lambda value: value is None or value > 0),
        "max_pixels": POSITIVE,
        "test_split": ("a number of images, a fraction below 1, or all", is_test_split),
        "cache": NOT_NEGATIVE,
        "cache_dir": LOCAL_PATH,
        "classes": LIMITS_FROM_DATA["class_names"],
        "cache_limit": NOT_NEGATIVE,
    }
    largest: ClassVar[dict[str, int]] = {"image_size": 5000}

    def __init__(
        self,
        root: str,
        image_size: int | tuple[int, int] = 32,
        channels: Literal[1, 3] = 3,
        resize: Resize = "letterbox",
        max_value: float | None = None,
        max_pixels: int = MAX_PIXELS,
        test_split: Amount | None = None,
        cache: int = 100,
        cache_dir: str | None = None,
        cache_limit: int = 10_000,
        skip_broken: bool = False,
        classes: tuple[str, ...] | None = None,
        batch_size: int = 64,
        test_batch_size: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, test_batch_size=test_batch_size, **kwargs)
        height, width = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
        self.image_shape = (channels, height, width)
        self.root = Path(root)
        self.decoding = Decoding(self.image_shape, max_value, resize, max_pixels)
        names, self.given_splits = self.find_classes(min_classes=2 if classes is None else 1)
        self.class_names = names if classes is None else tuple(map(normalise, classes))
        if unknown := sorted(set(names) - set(self.class_names)):
            raise UserError(
                f"{self.describe()} has classes that are not in the list of classes: {', '.join(unknown[:10])}"
            )
        require(
            self.hparams.test_split != "all" or not self.hparams.val_split,
            "test_split all leaves no images for val_split",
        )
        self.splits = list_splits(self.given_splits, self.hparams.test_split, self.hparams.val_split)
        require(self.splits != ("train",), "test_split 0 leaves no images to evaluate: set val_split as well")
        self.source: ImageSource | None = None

    @abstractmethod
    def find_classes(self, min_classes: int) -> tuple[tuple[str, ...], set[str]]:
        """Return the sorted names of the classes, and the splits that images are assigned to ("" for none of them).

        Raises:
            UserError: There are fewer than `min_classes` classes, or one cannot be used.
        """

    @abstractmethod
    def list_files(self) -> LabelledFiles:
        """Return the image files and their labels.

        Raises:
            UserError: Files cannot be found.
        """

    @abstractmethod
    def describe(self) -> str:
        """Return the folder or the file that the user has named, for messages."""

    def prepare_data(self) -> None:
        """Find and decode the files, and write the cache, which processes that start later read.

        Raises:
            UserError: Files cannot be read, or a class has too few images to be split.
        """
        self._load()

    def setup(self, stage: str) -> None:
        """Read the splits that a stage needs; for `test`, report which part of the images is evaluated."""
        is_possible = stage not in ("fit", "validate") or self.hparams.test_split != "all"
        require(is_possible, "test_split all makes every image a test image, for the command test: leave it out")
        is_known = self.hparams.test_split == "all" or "test" in self.datasets
        super().setup(stage)
        if stage == "test" and not is_known and not {"val", "test"} & self.given_splits:
            share = f"{len(self.datasets['test']):,} of {len(self.labels):,} images"
            report(f"{share} are held out and evaluated; --data.test_split all evaluates all of them")

    def read(self, split: str) -> tuple[ImageSource, Tensor]:
        """Return images (N, C, H, W), in memory or in files, and labels (N,) of a split.

        Raises:
            UserError: A class has no training image.
        """
        source, (first, last) = self._load(), self.bounds[split]
        labels = self.labels[first:last]
        if split == "train":
            present = set(labels.tolist())
            if missing := [name for label, name in enumerate(self.class_names) if label not in present]:
                raise UserError(f"{self.describe()}: the class {missing[0]!r} has no training image that can be read")
        return source.subset(range(first, last)), labels

    def find_files(self, hold_out: bool = True) -> FoundFiles:
        """Return all image files, ordered by split.

        Args:
            hold_out: Whether to hold out images for testing and validation. Otherwise all images to which the user has
                assigned no split are training images.

        Raises:
            SettingError: A class has too few images to hold some out.
            UserError: Files cannot be found.
        """
        found, h = self.list_files(), self.hparams
        labels = np.array(found.labels, dtype=np.int64)
        test_split, val_split = (h.test_split, h.val_split) if hold_out or h.test_split == "all" else (0, 0)
        val_split = 0 if "val" in self.given_splits else val_split
        splits = assign_splits(found.splits, labels, found.keys, test_split, val_split, self.class_names)
        return order_files(found, splits, self.splits, self.decoding)

    def decode_files(self, found: FoundFiles) -> Contents:
        """Return what is known of files after decoding, from the cache if possible; unreadable files are no error."""
        h, in_memory = self.hparams, len(found.files) * math.prod(self.image_shape) <= self.hparams.cache * 10**6
        disk_cache = DiskCache(Path(h.cache_dir) if h.cache_dir else None, h.cache_limit * 10**6)
        contents = load_contents(found.files, in_memory, disk_cache, num_for_range=int((found.splits == "train").sum()))
        contents.problems = locate_problems(found, contents, self.describe())
        return contents

    def _load(self) -> ImageSource:
        """Return the source of all images, ordered by split; it is created once."""
        if self.source is not None:
            return self.source
        found = self.find_files()
        self._report_found(found)
        contents = self.decode_files(found)
        check_contents(contents, len(found.files), self.hparams.skip_broken, self.describe())
        labels, splits = (values[contents.kept.numpy()] for values in (found.labels, found.splits))
        self.labels = torch.from_numpy(labels)
        counts = [int((splits == split).sum()) for split in self.splits]
        ends = np.cumsum(counts).tolist()
        self.bounds = {split: (end - n, end) for split, n, end in zip(self.splits, counts, ends, strict=True)}
        if contents.max_value is not None:  # otherwise, no file has more than 8 bits
            self.decoding = self.decoding._replace(max_value=contents.max_value)
            self.hparams.max_value = contents.max_value
        self.source = make_source(found.files, contents)
        for line in describe_repeats(contents.hashes.numpy(), labels, splits, self.class_names, self.source.name):
            report(f"{self.describe()}: {line}")
        for line in describe_lost_classes(labels, splits, found.labels, found.splits, self.class_names):
            report(f"{self.describe()}: {line}")
        if "train" in self.bounds:
            self.training_images = contents.hashes[: self.bounds["train"][1]].sort().values
        return self.source

    def _report_found(self, found: FoundFiles) -> None:
        """Print one line with the numbers of images by split, and of files that are not used."""
        amounts = {"val": self.hparams.val_split, "test": self.hparams.test_split}
        notes = describe_found(found, self.splits, self.given_splits, amounts, self.class_names)
        notes[0] = f"{self.describe()}: {notes[0]}"
        notes += [text for text in (found.unused.describe(str(self.root)), describe_old_cache(self.root)) if text]
        report("; ".join(notes))
