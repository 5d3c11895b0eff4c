"""Base class of the datasets that torchvision downloads."""

import contextlib
import io
import socket
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import torchvision
from torch import Tensor

from classifier.data.base import ImageDataModule
from classifier.data.published.downloads import make_download_folder
from classifier.data.published.roots import describe_missing_folder, refuse_own_images
from classifier.data.sources import ImageSource
from classifier.errors import UserError, make_printable, one_line
from classifier.hparams import Limit

DOWNLOAD_TIMEOUT = 5  # seconds without an answer


class TorchvisionDataModule(ImageDataModule):
    """Base class of the datasets that torchvision downloads.

    The files are not read by torchvision, which allocates memory and unpickles before a file that may be hostile is
    checked, and prefers a file `processed/training.pt` to those of FashionMNIST. A subclass also sets
    `torchvision_class`, the `folder` of the files below the root, and the names of the `files`.
    """

    torchvision_class: type[torchvision.datasets.VisionDataset]
    folder: str
    files: tuple[str, ...]
    limits: ClassVar[dict[str, Limit]] = {"root": ("a local path", lambda path: path is not None)}

    @abstractmethod
    def check_file(self, file: Path) -> None:
        """Raise an error whose message describes the damage to one of the files, if there is any."""

    def _describe_damage(self, file: Path) -> str | None:
        """Return a description of the damage to one of the files, or None if there is none."""
        try:
            self.check_file(file)
        except Exception as error:
            return one_line(getattr(error, "strerror", None) or error)
        return None

    def _read_checked(self, split: str) -> tuple[ImageSource, Tensor]:
        """Read a split, check it, and return its ImageSource and its int64 labels (N,).

        Raises:
            UserError: A file is damaged. The message names the file.
        """
        try:
            return super()._read_checked(split)
        except Exception as error:
            folder = Path(self.hparams.root, self.folder)
            damages = {name: damage for name in self.files if (damage := self._describe_damage(folder / name))}
            reasons = [f"{name} {damage}" for name, damage in damages.items()] or [one_line(error)]
            raise UserError(
                f"{type(self).__name__}: the files in {make_printable(folder)} are damaged: {'; '.join(reasons)}. "
                f"Delete {', '.join(damages) or 'them'}, and the next run downloads the files again"
            ) from error

    def prepare_data(self) -> None:
        """Download the files if any is missing. They are moved to the folder only after all are complete.

        Raises:
            UserError: Files are missing and cannot be downloaded, or the root contains images of the user's own.
        """
        root = Path(self.hparams.root)
        folder = root / self.folder
        missing = [name for name in self.files if not (folder / name).is_file()]
        if not missing:
            return
        refuse_own_images(root)
        reason = "download is switched off"
        if self.hparams.download:
            try:
                self._download(root, folder)
                return
            except (OSError, RuntimeError) as error:
                reason = f"downloading failed: {one_line(error)}"
        elif not root.exists():
            reason = f"{describe_missing_folder(root)}, and {reason}"
        raise UserError(
            f"{type(self).__name__} needs these files in {make_printable(folder)}: {', '.join(missing)} ({reason}). "
            "No files are needed for: python -m classifier fit --config digits"
        )

    def _download(self, root: Path, folder: Path) -> None:
        """Download all files to a temporary folder below `root`, and then move them to `folder`."""
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            with make_download_folder(root, folder) as unfinished, contextlib.redirect_stdout(io.StringIO()):
                self.torchvision_class(unfinished, download=True)
                folder.mkdir(parents=True, exist_ok=True)
                for name in self.files:
                    (unfinished / self.folder / name).replace(folder / name)
        finally:
            socket.setdefaulttimeout(timeout)
