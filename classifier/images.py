"""Image files of any kind as tensors of one shape."""

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from classifier.errors import UserError
from classifier.loading import keep_batch

# What the largest value of a mode can be: Pillow's "I" holds 16 or 32 bits, "F" whatever its file holds.
RANGES = {"I": (2**16 - 1, 2**31 - 1), "F": (1, 255, 2**16 - 1)}
FEW = 1000  # images that are decoded by the time that workers have started


class ImageError(UserError):
    """A file is no image that can be read."""

    def __init__(self, text: str) -> None:
        # A worker of a DataLoader makes its traceback the text, which ends with the error's own line.
        super().__init__(text.strip().splitlines()[-1].removeprefix(f"{__name__}.{type(self).__name__}: "))


def read_image(path: str | os.PathLike[str], image_shape: tuple[int, int, int]) -> Tensor:
    """Return the image of a file as uint8 (C, H, W), of any format, size and mode that Pillow reads.

    It is turned upright by its EXIF tag, what is transparent becomes white, and of an animation the first frame is
    taken. The whole image is kept in its proportions: its longer side is resized to fit, and what is missing of the
    other filled with the median colour of its border. (On trimmed FashionMNIST images so filled the reference network
    is right for 86 %, on the middle cut out of them for 40 %.) An image of this size and mode stays as it is.

    Args:
        path: The file.
        image_shape: Channels (1 or 3), height and width of the result.

    Raises:
        ImageError: When it is no image or a broken one, or has so many pixels that Pillow suspects an attack.
    """
    channels, height, width = image_shape
    with open_image(path) as image:
        image.draft(None, (2 * width, 2 * height))  # a large JPEG is decoded at a fraction of its size
        ImageOps.exif_transpose(image, in_place=True)
        return fit(convert(image, "L" if channels == 1 else "RGB"), height, width)


@contextlib.contextmanager
def open_image(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open an image file, and make an ImageError of whatever goes wrong with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as those of damaged EXIF tags
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as image:
                yield image
        except Image.UnidentifiedImageError as error:
            raise ImageError(f"{path} is no image") from error
        except Exception as error:  # a broken file can make Pillow raise anything
            reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"{path} cannot be read as an image: {reason}") from error


def convert(image: Image.Image, mode: str) -> Image.Image:
    """Return an image in mode "L" or "RGB", transparency on white."""
    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
        ranges = RANGES.get(image.mode, (2**16 - 1,))
        largest = next((limit for limit in ranges if values.max() <= limit), values.max())
        image = Image.fromarray((values.clip(0) * (255 / largest)).round().astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)


def fit(image: Image.Image, height: int, width: int) -> Tensor:
    """Return an image in its proportions as uint8 (C, height, width), its border's median colour around it."""
    if image.size != (width, height):
        scale = min(width / image.width, height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BICUBIC)
    pixels = np.array(image).reshape(image.height, image.width, -1)
    if image.size != (width, height):
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        canvas = np.empty((height, width, pixels.shape[2]), np.uint8)
        canvas[:] = np.median(border, axis=0).round()
        top, left = (height - image.height) // 2, (width - image.width) // 2
        canvas[top : top + image.height, left : left + image.width] = pixels
        pixels = canvas
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def find_images(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return files as they are, and of folders, recursively and sorted, the files with an extension of an image.

    Hidden files and folders are passed over, and so are other files in a folder: photographs often lie beside texts.

    Raises:
        UserError: When a path does not exist, or a folder holds no image.
    """
    Image.init()
    extensions = {extension for extension, name in Image.EXTENSION.items() if name in Image.OPEN}
    files = []
    for path in map(os.fspath, paths):
        if not Path(path).is_dir():
            if not Path(path).exists():
                raise UserError(f"{path}: no such file or folder")
            files.append(path)
            continue
        found = []
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [
                os.path.join(folder, name)  # noqa: PTH118 a Path costs 5 times the time and memory
                for name in sorted(names)
                if not name.startswith(".") and os.path.splitext(name)[1].lower() in extensions  # noqa: PTH122
            ]
        if not found:
            raise UserError(f"{path} holds no image files")
        files += found
    return files


class ImageFiles(Dataset):
    """Images in files that are decoded when they are asked for, in place of a uint8 tensor (N, C, H, W).

    Args:
        paths: The files.
        image_shape: Channels (1 or 3), height and width that all images get.
    """

    dtype = torch.uint8

    def __init__(self, paths: Sequence[str], image_shape: tuple[int, int, int]) -> None:
        self.paths, self.image_shape = paths, image_shape

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of images, and their shape."""
        return (len(self.paths), *self.image_shape)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, index: Any) -> Any:
        """Return one image (C, H, W), those of a slice (N, C, H, W), or for indices (N,) the files, not yet decoded."""
        if isinstance(index, Tensor):
            return ImageFiles([self.paths[i] for i in index.tolist()], self.image_shape)
        indices = torch.arange(len(self))[index]
        return self.index_select(0, indices) if indices.ndim else read_image(self.paths[index], self.image_shape)

    def __getitems__(self, indices: list[int]) -> tuple[Any, ...]:
        """Return the images (N, C, H, W) that can be read, their indices, and a sentence for each of the others."""
        images, read, problems = [], [], []
        for index in indices:
            try:
                images.append(read_image(self.paths[index], self.image_shape))
                read.append(index)
            except ImageError as error:
                problems.append(str(error))
        empty = torch.empty(0, *self.image_shape, dtype=self.dtype)
        return torch.stack(images) if images else empty, read, problems

    def index_select(self, dim: int, indices: Tensor) -> Tensor:
        """Return images (N, C, H, W).

        Raises:
            ImageError: When one cannot be read.
        """
        images, _, problems = self.__getitems__(indices.tolist())
        if problems:
            raise ImageError(problems[0])
        return images

    def count_workers(self, processes: int = 1) -> int:
        """Return how many workers decode: none for few images, otherwise the cores, shared among processes."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // processes) if len(self) >= FEW else 0

    def make_loader(self, batch_size: int) -> DataLoader:
        """Return batches as `__getitems__` gives them."""
        return DataLoader(self, batch_size=batch_size, collate_fn=keep_batch, num_workers=self.count_workers())

    def go_through(self, verb: str) -> Iterator[tuple[Tensor, list[int]]]:
        """Yield all images in batches with their indices, under a progress bar if this takes long on a terminal.

        Raises:
            UserError: At the end, with the names of all files that cannot be read.
        """
        failed: list[str] = []
        with tqdm(total=len(self), desc=verb, unit=" images", disable=None, leave=False, delay=2) as bar:
            for images, indices, problems in self.make_loader(250):
                yield images, indices
                failed += problems
                bar.update(len(indices) + len(problems))
        if failed:
            raise UserError(f"mend or remove {len(failed):,} of {len(self):,} files: {'; '.join(failed)}")
