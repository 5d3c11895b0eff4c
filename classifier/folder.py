"""The user's own images, a folder a class."""

import contextlib
import hashlib
import json
import math
import os
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classifier.data import ImageDataModule
from classifier.errors import UserError, require
from classifier.files import write_whole
from classifier.images import ImageFiles, find_images
from classifier.loading import Batch


def list_folders(folder: Path) -> tuple[str, ...]:
    """Return the sorted names of the folders in a folder that are not hidden; none if it does not exist."""
    if not folder.is_dir():
        return ()
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")))


class ImageFolder(ImageDataModule):
    """Images of your own, in folders named after their classes.

    They lie in `train/<class>/` and `test/<class>/` under the root or, if there are no such folders, in `<class>/`,
    and then a fixed share of every class is for testing. Hidden files, and files that no extension calls an image, are
    passed over. Any format and size goes; see `read_image` for how they are made alike.

    Decoded images are kept in `.cache/` under the root, if that can be written, until a file changes its name, size
    or time.

    Args:
        root: Folder with the folders.
        image_size: Height and width to which all images are resized, above 0.
        channels: 3 for RGB, 1 for grey.
        test_share: Share of every class that is for testing, if there are no folders for it; above 0 and below 1.
        cache: Megabytes (10^6 bytes) that the images may take in memory. If they take more, they are decoded anew in
            every epoch.
        batch_size: Images a training step, on each device; above 0.
        **options: Further arguments of ImageDataModule.

    Raises:
        ValueError: When an argument is out of its range, when there are no class folders, or when files are broken.
    """

    mean = (0.5,)  # as in CIFAR10; zero and one of the base would leave all inputs positive
    std = (0.5,)

    def __init__(
        self,
        root: str,
        image_size: int = 32,
        channels: int = 3,
        test_share: float = 0.2,
        cache: int = 1000,
        batch_size: int = 64,
        **options: Any,
    ) -> None:
        super().__init__(root=root, batch_size=batch_size, **options)
        require(image_size > 0, f"image_size must be above 0, not {image_size}")
        require(channels in (1, 3), f"channels must be 1 or 3, not {channels}")
        require(0 < test_share < 1, f"test_share must be above 0 and below 1, not {test_share}")
        require(cache >= 0, f"cache must be at least 0, not {cache}")
        self.image_shape = (channels, image_size, image_size)
        self.split_by_folder = bool(list_folders(Path(root, "train")))
        self.class_names = list_folders(Path(root, "train") if self.split_by_folder else Path(root))
        if len(self.class_names) < 2:
            raise UserError(f"{root} must hold a folder for each class, two or more, or train/ and test/ that do")
        if self.split_by_folder:
            tested = list_folders(Path(root, "test"))
            if not tested:
                raise UserError(
                    f"{root} has train/ with class folders, but no test/ with class folders: add it, or have a "
                    f"share of the images tested by --data.root {Path(root, 'train')}"
                )
            if unknown := sorted(set(tested) - set(self.class_names)):
                raise UserError(f"{root}: test/ has classes that train/ has not: {', '.join(unknown)}")
        self.images: Tensor | ImageFiles | None = None

    def list_files(self, folder: Path) -> tuple[list[str], list[int]]:
        """Return the image files in the class folders under a folder, and their labels."""
        found = [find_images([folder / name]) if (folder / name).is_dir() else [] for name in self.class_names]
        return [*chain(*found)], [label for label, files in enumerate(found) for _ in files]

    def prepare_data(self) -> None:
        """Find, check and decode the files, before further processes are started, which then find them decoded.

        Raises:
            UserError: When files are broken, or a class has too few to be split.
        """
        if self.images is not None:
            return
        root = Path(self.hparams.root)
        if self.split_by_folder:
            (train, train_labels), (test, test_labels) = (self.list_files(root / split) for split in ("train", "test"))
        else:
            from sklearn.model_selection import train_test_split

            files, labels = self.list_files(root)
            names, share = [self.class_names[label] for label in labels], self.hparams.test_share
            try:
                parts = train_test_split(files, labels, test_size=share, stratify=names, random_state=0)
            except ValueError as error:
                raise UserError(f"{root} cannot be split: {' '.join(str(error).split())}") from error
            train, test, train_labels, test_labels = parts
        self.num_train, self.labels = len(train), torch.tensor(train_labels + test_labels)
        files = ImageFiles(train + test, self.image_shape)
        self.images = self.load(files) if math.prod(files.shape) <= self.hparams.cache * 10**6 else self.check(files)

    def name_cache(self, files: ImageFiles) -> Path:
        """Return the file in the cache on disk that stands for these files as they are now."""
        known = [1, files.image_shape]  # the version of this format
        for path in files.paths:
            status = Path(path).stat()
            known.append((os.path.relpath(path, self.hparams.root), status.st_size, status.st_mtime_ns))
        digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()
        return Path(self.hparams.root, ".cache", f"{files.image_shape[0]}x{files.image_shape[1]}-{digest[:32]}.npy")

    def load(self, files: ImageFiles) -> Tensor:
        """Return the decoded images (N, C, H, W), from the cache on disk if it holds them.

        Raises:
            UserError: When files are broken.
        """
        cached = self.name_cache(files)
        with contextlib.suppress(OSError, ValueError, EOFError):
            array = np.load(cached, allow_pickle=False)
            if array.shape == files.shape and array.dtype == np.uint8:
                return torch.from_numpy(array)
        images = torch.empty(files.shape, dtype=torch.uint8)
        for decoded, indices in files.go_through("decoding"):
            images[indices] = decoded
        with contextlib.suppress(OSError):  # without a cache, the next start decodes again
            cached.parent.mkdir(exist_ok=True)
            with write_whole(cached) as unfinished:
                np.save(unfinished, images.numpy())
            for older in set(cached.parent.glob(f"{cached.name.split('-')[0]}-*.npy")) - {cached}:
                older.unlink()
        return images

    def check(self, files: ImageFiles) -> ImageFiles:
        """Return the files, each of which could be decoded; the cache on disk remembers that.

        Raises:
            UserError: When files are broken.
        """
        checked = self.name_cache(files).with_suffix(".checked")
        if not checked.is_file():
            for _ in files.go_through("checking"):
                pass
            with contextlib.suppress(OSError):
                checked.parent.mkdir(exist_ok=True)
                checked.touch()
        return files

    def read(self, train: bool) -> Batch:
        """Return images (N, C, H, W), in memory or in files, and labels (N,)."""
        self.prepare_data()
        part = slice(None, self.num_train) if train else slice(self.num_train, None)
        if isinstance(self.images, ImageFiles):
            return ImageFiles(self.images.paths[part], self.image_shape), self.labels[part]
        return self.images[part], self.labels[part]
