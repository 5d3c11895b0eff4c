"""The data sets, as LightningDataModules: uint8 images in memory, gathered a whole batch at a time."""

import contextlib
import io
import math
import os
import socket
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import torchvision
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler
from torchvision.datasets.utils import check_integrity

from classifier.augmentation import cut_out, flip_images, shift_images
from classifier.errors import UserError, require
from classifier.loading import Batch, EvaluationSampler, ImageDataset, keep_batch


def make_plain(hparams: Any) -> Any:
    """Return hyperparameters as numbers, strings and tuples of them, which a checkpoint can hold without code."""
    if isinstance(hparams, dict):
        return {key: make_plain(value) for key, value in hparams.items()}
    if isinstance(hparams, (list, tuple)):
        return tuple(make_plain(value) for value in hparams)
    if isinstance(hparams, os.PathLike):
        return os.fspath(hparams)
    return hparams.item() if hasattr(hparams, "item") else hparams  # NumPy's and PyTorch's numbers


class ImageDataModule(L.LightningDataModule, ABC):
    """Base of all data sets: a subclass states its constants and how its images are read.

    Args:
        root: Folder under which the files lie, or are downloaded to.
        batch_size: Images a training step, on each device; above 0.
        val_split: Number of images held out of the training set, always the same ones; 0 for none. With some,
            the best epoch is chosen on them; the test images never choose anything.
        download: Whether missing files are downloaded.
        test_batch_size: Images scored at a time, on each device; above 0.
        drop_last: Whether an epoch of training leaves out the last batch where it is smaller than the others.
        flip: Which training images are mirrored left to right: none; random, half of them in every epoch anew; or
            alternating, a random half in the first epoch, and then every image in every other epoch (Jordan, 2024).
        shift: How many pixels a training image is moved at most, across and down; below height and width.
        cutout: Side in pixels of a square that is cut out of every training image, and filled with `mean`; 0 for none.

    Raises:
        ValueError: When an argument is out of its range, or when files are missing or broken.
    """

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    dark_background: bool = False  # whether all images are light on black, so that predict may invert others

    def __init__(
        self,
        root: str = "data",
        batch_size: int = 64,
        val_split: int = 0,
        download: bool = True,
        test_batch_size: int = 500,
        drop_last: bool = False,
        flip: Literal["none", "random", "alternating"] = "none",
        shift: int = 0,
        cutout: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.hparams.update(make_plain(self.hparams))
        require(batch_size > 0, f"batch_size must be above 0, not {batch_size}")
        require(test_batch_size > 0, f"test_batch_size must be above 0, not {test_batch_size}")
        require(val_split >= 0, f"val_split must be at least 0, not {val_split}")
        require(flip in ("none", "random", "alternating"), f"flip must be none, random or alternating, not {flip}")
        require(shift >= 0, f"shift must be at least 0, not {shift}")
        require(cutout >= 0, f"cutout must be at least 0, not {cutout}")
        self.augments = flip != "none" or shift > 0 or cutout > 0
        self.datasets: dict[str, ImageDataset] = {}

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @abstractmethod
    def read(self, train: bool) -> Batch:
        """Return uint8 images (N, C, H, W) and int64 labels (N,) of the training or the test set."""

    def setup(self, stage: str) -> None:
        """Read what a stage needs; `stage` is "fit", "validate", "test" or "predict"."""
        if stage in ("fit", "validate") and "train" not in self.datasets:
            images, labels = self.read_checked(train=True)
            held_out, shift = self.hparams.val_split, self.hparams.shift
            require(shift < min(self.image_shape[1:]), f"shift must be below {min(self.image_shape[1:])}, not {shift}")
            require(held_out < len(labels), f"val_split must be below the {len(labels)} images, not {held_out}")
            if held_out:
                order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
                chosen, rest = order[:held_out].sort().values, order[held_out:].sort().values
                self.datasets["val"] = ImageDataset(images[chosen], labels[chosen], "val")
                images, labels = images[rest], labels[rest]
            mirrored = None
            if self.hparams.flip == "alternating":
                generator = torch.Generator().manual_seed(int(os.getenv("PL_GLOBAL_SEED", "0")))
                mirrored = torch.rand(len(labels), generator=generator) < 0.5
            self.datasets["train"] = ImageDataset(images, labels, "train", mirrored)
        if stage in ("fit", "test") and "test" not in self.datasets:
            self.datasets["test"] = ImageDataset(*self.read_checked(train=False), "test")

    def read_checked(self, train: bool) -> Batch:
        """Return what `read` returns.

        Raises:
            ValueError: When it is not what this class says of itself.
        """
        images, labels = self.read(train=train)
        problems = {
            f"{len(images)} images and {len(labels)} labels": len(images) != len(labels),
            "no images": len(labels) == 0,
            f"images {tuple(images.shape[1:])} of {images.dtype}, not {tuple(self.image_shape)} of torch.uint8": (
                tuple(images.shape[1:]) != tuple(self.image_shape) or images.dtype != torch.uint8
            ),
            f"labels beyond 0 to {self.num_classes - 1}": bool(((labels < 0) | (labels >= self.num_classes)).any()),
        }
        if found := [problem for problem, there in problems.items() if there]:
            raise UserError(f"the {'training' if train else 'test'} set of {type(self).__name__} has {found[0]}")
        return images, labels

    def train_dataloader(self) -> DataLoader:
        """Return shuffled batches of the training images, the same order for the same seed and epoch."""
        return self.make_loader("train", self.hparams.batch_size)

    def val_dataloader(self) -> list[DataLoader]:
        """Return what is scored after every epoch: validation images, if any, and while fitting the test images."""
        splits = [split for split in ("val", "test") if split in self.datasets]
        if self.trainer is not None and self.trainer.state.fn == "validate":
            require(bool(self.hparams.val_split), "there are no validation images, as val_split is 0: use test")
            splits = ["val"]
        return [self.make_loader(split, self.hparams.test_batch_size) for split in splits]

    def test_dataloader(self) -> DataLoader:
        """Return the test images in order."""
        return self.make_loader("test", self.hparams.test_batch_size)

    def make_loader(self, split: str, batch_size: int) -> DataLoader:
        """Return batches of a split: shuffled if it is for training, dealt out if there are several processes."""
        dataset = self.datasets[split]
        replicas, rank = 1, 0
        if self.trainer is not None:
            # No transfer a batch: the images lie where the network is. They take little memory.
            device = self.trainer.strategy.root_device
            dataset.move_to(device)
            replicas, rank = self.trainer.world_size, self.trainer.global_rank
        sampler = None
        if split == "train":
            # Lightning tells a DistributedSampler the epoch: a resumed run shuffles as an uninterrupted one.
            seed = int(os.getenv("PL_GLOBAL_SEED", "0"))
            sampler = DistributedSampler(dataset, replicas, rank, shuffle=True, seed=seed)
        elif replicas > 1:
            sampler = EvaluationSampler(dataset, replicas, rank)
        # A generator of its own, as a loader would draw from the one whose numbers a resumed run has to draw again.
        generator = torch.Generator()
        workers = dataset.count_workers(replicas)
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=split == "train" and self.hparams.drop_last,
            collate_fn=keep_batch,
            generator=generator,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    # Overridden, the three transfer hooks cost a step nothing; Lightning's own walk through the batch.

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return the batch as it is."""
        return batch

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return images and labels on the device."""
        images, labels = batch
        return images.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return the batch, its images augmented if they are to train on."""
        if not (self.augments and self.trainer is not None and self.trainer.training):
            return batch
        return self.augment(batch[0], self.trainer.current_epoch), batch[1]

    def augment(self, images: Tensor, epoch: int) -> Tensor:
        """Return uint8 images (N, C, H, W) mirrored, shifted and cut as the options say, one draw an image.

        Args:
            images: A batch of the training images, as the data set gives them.
            epoch: Number of the epoch, from 0.
        """
        flip, shift, cutout = (self.hparams[name] for name in ("flip", "shift", "cutout"))
        if flip == "random":
            images = flip_images(images, torch.rand(len(images), device=images.device) < 0.5)
        elif flip == "alternating" and epoch % 2:  # the data set itself mirrors the half of the first epoch
            images = images.flip(-1)
        if shift:
            images = shift_images(images, shift)
        if cutout:
            fill = (torch.tensor(self.mean, device=images.device) * 255).round().to(images.dtype).view(-1, 1, 1)
            images = cut_out(images, cutout, fill)
        return images


class TorchvisionDataModule(ImageDataModule):
    """Base of the data sets that torchvision downloads, checks and reads."""

    torchvision_class: type[torchvision.datasets.VisionDataset]
    folder: str
    files: tuple[str, ...]

    @abstractmethod
    def find_damage(self, file: Path) -> str | None:
        """Return what is wrong with one of the files, or None."""

    def read_checked(self, train: bool) -> Batch:
        """Return what `read` returns.

        Raises:
            ValueError: When a file is damaged; it is named.
        """
        try:
            return super().read_checked(train)
        except Exception as error:
            folder = Path(self.hparams.root, self.folder)
            damages = {name: damage for name in self.files if (damage := self.find_damage(folder / name))}
            reasons = [f"{name} {damage}" for name, damage in damages.items()] or [" ".join(str(error).split())]
            raise UserError(
                f"{type(self).__name__}: the files in {folder} are damaged: {'; '.join(reasons)}. "
                f"Delete {', '.join(damages) or 'them'}, and the next start downloads all anew"
            ) from error

    def prepare_data(self) -> None:
        """Download missing files, none of which appears before all are complete.

        Raises:
            ValueError: When files are missing and cannot be downloaded.
        """
        folder = Path(self.hparams.root, self.folder)
        if not (missing := [name for name in self.files if not (folder / name).is_file()]):
            return
        reason = "download is switched off"
        if self.hparams.download:
            before = socket.getdefaulttimeout()
            socket.setdefaulttimeout(5)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with (
                    tempfile.TemporaryDirectory(dir=self.hparams.root, prefix=".download-") as unfinished,
                    contextlib.redirect_stdout(io.StringIO()),
                ):
                    self.torchvision_class(unfinished, download=True)
                    for name in self.files:
                        Path(unfinished, self.folder, name).replace(folder / name)
                return
            except (OSError, RuntimeError) as error:
                reason = f"downloading failed: {' '.join(str(error).split())}"
            finally:
                socket.setdefaulttimeout(before)
        raise UserError(
            f"{type(self).__name__} needs these files in {folder}: {', '.join(missing)} ({reason}). "
            "No files are needed for: python -m classifier fit --config digits"
        )


class FashionMNIST(TorchvisionDataModule):
    """70,000 grey pictures of 10 kinds of clothing, 28x28 (Xiao, Rasul and Vollgraf, 2017); 60,000 for training."""

    torchvision_class = torchvision.datasets.FashionMNIST
    folder = "FashionMNIST/raw"
    files = tuple(Path(name).stem for name, _ in torchvision_class.resources)
    image_shape = (1, 28, 28)
    dark_background = True
    class_names = tuple(torchvision_class.classes)

    def read(self, train: bool) -> Batch:
        """Return images (N, 1, 28, 28) and labels (N,)."""
        dataset = self.torchvision_class(self.hparams.root, train=train)
        return dataset.data.unsqueeze(1), dataset.targets

    def find_damage(self, file: Path) -> str | None:
        """Return what is wrong with an IDX file: a number that tells the format, sizes, then one byte a value."""
        dimensions = 3 if "images" in file.name else 1
        content = file.read_bytes()
        header, values = content[: 4 + 4 * dimensions], content[4 + 4 * dimensions :]
        if header[:4] != bytes((0, 0, 8, dimensions)):
            return f"is no IDX file: it begins with {header[:16]!r}"
        sizes = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
        if len(values) != math.prod(sizes):
            return f"has {len(values):,} values where its header says {' x '.join(map(str, sizes))}"
        if dimensions == 1 and (highest := max(values, default=0)) >= self.num_classes:
            return f"has the label {highest}, beyond 0 to {self.num_classes - 1}"
        return None


class CIFAR10(TorchvisionDataModule):
    """60,000 colour photographs of 10 kinds of things, 32x32 (Krizhevsky, 2009); 50,000 for training.

    Args:
        root: Folder under which the files lie, or are downloaded to.
        batch_size: Images a training step, on each device; above 0. 4 is the tutorial's.
        **options: Further arguments of ImageDataModule.
    """

    torchvision_class = torchvision.datasets.CIFAR10
    folder = torchvision_class.base_folder
    files = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    image_shape = (3, 32, 32)
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    mean = (0.5, 0.5, 0.5)  # PyTorch's tutorial "Training a Classifier"
    std = (0.5, 0.5, 0.5)

    def __init__(self, root: str = "data", batch_size: int = 4, **options: Any) -> None:
        super().__init__(root=root, batch_size=batch_size, **options)

    def read(self, train: bool) -> Batch:
        """Return images (N, 3, 32, 32) and labels (N,)."""
        # Unpickles no file before the md5 sums of all are right.
        dataset = self.torchvision_class(self.hparams.root, train=train)
        return torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets)

    def find_damage(self, file: Path) -> str | None:
        """Return what is wrong with a file of pickled arrays."""
        known = dict([*self.torchvision_class.train_list, *self.torchvision_class.test_list])
        known[self.torchvision_class.meta["filename"]] = self.torchvision_class.meta["md5"]
        return None if check_integrity(file, known[file.name]) else "has a wrong md5 sum"


class Digits(ImageDataModule):
    """1,797 grey pictures of handwritten digits, 8x8, that come with scikit-learn (Alpaydin and Kaynak, 1998).

    1,437 are for training and 360 for testing, in a fixed split with equal shares of every digit.
    """

    image_shape = (1, 8, 8)
    dark_background = True
    class_names = tuple("0123456789")

    def read(self, train: bool) -> Batch:
        """Return images (N, 1, 8, 8) and labels (N,)."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = (torch.from_numpy(digits.images) * (255 / 16)).round().to(torch.uint8).unsqueeze(1)  # were 0 to 16
        labels = torch.from_numpy(digits.target).long()
        parts = train_test_split(range(len(labels)), test_size=360, stratify=digits.target, random_state=0)
        indices = parts[0 if train else 1]
        return images[indices], labels[indices]
