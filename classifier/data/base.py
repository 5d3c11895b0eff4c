"""Base class of all datasets: a LightningDataModule that splits, batches and augments uint8 images."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from classifier.data.augmentation import Flip, augment_images
from classifier.data.dataset import ImageDataset, find_problem
from classifier.data.loaders import ImageLoaders
from classifier.data.sources import ImagesInMemory, ImageSource
from classifier.data.splits import hold_out_unnamed
from classifier.errors import UserError, require
from classifier.hparams import LOCAL_PATH, NOT_NEGATIVE, POSITIVE, Limit
from classifier.seeding import get_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMITS: dict[str, Limit] = {
    "root": LOCAL_PATH,
    "batch_size": POSITIVE,
    "test_batch_size": POSITIVE,
    "val_split": (
        "a number of images, or a fraction below 1",
        lambda value: value >= 0 and (isinstance(value, int) or value < 1),
    ),
    "shift": NOT_NEGATIVE,
    "cutout": NOT_NEGATIVE,
    "crop": ("above 0 and at most 1", lambda value: 0 < value <= 1),
}
AUGMENTATIONS = ("flip", "crop", "shift", "cutout")


class ImageDataModule(ImageLoaders, ABC):
    """Base class of all datasets. A subclass sets `image_shape` (C, H, W) and `class_names`, and implements `read`.

    Args:
        root: Folder that contains the files; missing files are downloaded to it.
        batch_size: Images per training step, on each device; above 0.
        val_split: Number of training images, or fraction below 1, that is held out for validation; 0 for none. The
            images are the same ones for every seed, in proportion to the classes. The best epoch is selected on them,
            and never on the test images.
        download: Whether to download missing files.
        test_batch_size: Images per evaluation step, on each device; above 0.
        drop_last: Whether to drop the last training batch of an epoch if it is smaller than the others.
        flip: Which training images are mirrored left to right. none: no image. random: each with probability 0.5,
            in every epoch. alternating: a random half in one epoch, the other half in the next (Jordan, 2024).
        shift: Largest random translation of a training image in pixels, from 0 (none) to below its height and width.
        cutout: Side in pixels of a square in every training image that is filled with `mean`; 0 for none.
        crop: Smallest part of a training image that is used, as a fraction of its area; 1 for no cropping. In every
            epoch, a random part between this fraction and the whole image is enlarged to the size of the image.

    Raises:
        SettingError: An argument is out of its range, or a split would leave a class without images.
        UserError: Files are missing or damaged.
    """

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    splits: tuple[str, ...] = ("train", "test")  # those that `read` is called for; may include "val"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    training_images: Tensor | None = None  # sorted content hashes of the training images, int64 (N,), if known
    dark_background: bool = False  # whether all images show light objects on black; predict then inverts others
    limits: ClassVar[dict[str, Limit]] = LIMITS
    largest: ClassVar[dict[str, int]] = {"batch_size": 10**7, "test_batch_size": 10**7, "cutout": 5000}

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        val_split: int | float = 0,
        download: bool = True,
        test_batch_size: int = 500,
        drop_last: bool = False,
        flip: Flip = "none",
        shift: int = 0,
        cutout: int = 0,
        crop: float = 1.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.check_hparams()
        has_validation_images = "val" in type(self).splits
        require(
            not (val_split and has_validation_images),
            f"{type(self).__name__} has its own validation images: leave out val_split",
        )
        self.augments = flip != "none" or shift > 0 or cutout > 0 or crop < 1
        self.datasets = {}

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def has_validation_images(self) -> bool:
        """Whether there are validation images, on which the best epoch is selected."""
        return "val" in self.splits or self.hparams.val_split > 0

    @abstractmethod
    def read(self, split: str) -> tuple[Tensor | ImageSource, Tensor]:
        """Return the images and labels of one of `splits`.

        Args:
            split: "train", "test" or, if `splits` contains it, "val".

        Returns:
            uint8 images (N, C, H, W) or an ImageSource, and int64 labels (N,).
        """

    def setup(self, stage: str) -> None:
        """Read the splits that a stage needs; `stage` is "fit", "validate", "test" or "predict"."""
        if stage in ("fit", "validate") and "train" not in self.datasets:
            self._setup_training_splits()
        if stage in ("fit", "test", "predict") and "test" in self.splits and "test" not in self.datasets:
            self.datasets["test"] = ImageDataset(*self._read_checked("test"), "test")
        if stage in ("test", "predict") and "test" not in self.splits and "val" in self.splits:
            self.datasets["test"] = ImageDataset(*self._read_checked("val"), "test")  # there are no others to test on

    def _setup_training_splits(self) -> None:
        """Read the training images, and read the validation images or hold them out of the training set."""
        require("train" in self.splits, f"{type(self).__name__} has no training images")
        source, labels = self._read_checked("train")
        shift = self.hparams.shift
        require(shift < min(self.image_shape[1:]), f"shift must be below {min(self.image_shape[1:])}, not {shift}")
        if "val" in self.splits:
            self.datasets["val"] = ImageDataset(*self._read_checked("val"), "val")
        elif self.hparams.val_split:
            chosen = hold_out_unnamed(labels, self.hparams.val_split, "val_split", self.class_names)
            held_out, rest = chosen.nonzero().flatten(), (~chosen).nonzero().flatten()
            self.datasets["val"] = ImageDataset(source.subset(held_out), labels[held_out], "val")
            source, labels = source.subset(rest), labels[rest]
        flipped = None
        if self.hparams.flip == "alternating":
            flipped = torch.rand(len(labels), generator=torch.Generator().manual_seed(get_seed() or 0)) < 0.5
        self.datasets["train"] = ImageDataset(source, labels, "train", flipped)

    def _read_checked(self, split: str) -> tuple[ImageSource, Tensor]:
        """Read a split, check it, and return its ImageSource and its int64 labels (N,).

        Raises:
            UserError: The images or labels do not match the class attributes.
        """
        images, labels = self.read(split)
        if problem := find_problem(images, labels, self.image_shape, self.num_classes):
            name = {"train": "training", "val": "validation", "test": "test"}[split]
            raise UserError(f"the {name} set of {type(self).__name__} has {problem}")
        source = ImagesInMemory(images) if isinstance(images, Tensor) else images
        return source, labels

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return the batch, augmented if it is a training batch."""
        if not (self.augments and self.trainer is not None and self.trainer.training):
            return batch
        return self.augment(batch[0], self.trainer.current_epoch), batch[1]

    def augment(self, images: Tensor, epoch: int) -> Tensor:
        """Return uint8 images (N, C, H, W), augmented as the hyperparameters say.

        Args:
            images: uint8 training images (N, C, H, W) from the dataset.
            epoch: Index of the epoch, from 0.
        """
        options = {name: self.hparams[name] for name in AUGMENTATIONS}
        return augment_images(images, epoch, **options, colour=self.mean)

    def show(self, split: str = "train", count: int = 16, columns: int = 8) -> "Figure":
        """Return a figure of the first images of a batch with their classes; training images are augmented.

        Files are downloaded and read if that has not been done yet.

        Args:
            split: "train", "val" or "test".
            count: Number of images, above 0; at most a batch is shown.
            columns: Number of images per row, above 0.
        """
        from classifier.plots import plot_images  # matplotlib takes long to import

        self.prepare_data()
        self.setup("test" if split == "test" else "fit")
        require(split in self.datasets, f"{type(self).__name__} has no {split} images")
        images, labels = next(iter(self.make_loader(split, count)))
        if split == "train" and self.augments:
            with torch.random.fork_rng():
                images = self.augment(images, 0)
        return plot_images(images, labels, self.class_names, columns=columns)
