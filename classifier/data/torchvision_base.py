"""Base of the data sets that torchvision downloads, verifies and reads."""

import contextlib
import io
import socket
import tempfile
from abc import abstractmethod
from pathlib import Path

import torchvision
from torch import Tensor

from classifier.data.base import ImageDataModule
from classifier.data.sources import ImageSource
from classifier.errors import UserError, one_line

DOWNLOAD_TIMEOUT = 5  # seconds without an answer


class TorchvisionDataModule(ImageDataModule):
    """Base of the data sets that torchvision downloads, verifies and reads."""

    torchvision_class: type[torchvision.datasets.VisionDataset]
    folder: str
    files: tuple[str, ...]

    @abstractmethod
    def find_damage(self, file: Path) -> str | None:
        """Return what is wrong with one of the files, or None."""

    def _read_checked(self, split: str) -> tuple[ImageSource, Tensor]:
        """Return what `read` returns, as a source.

        Raises:
            UserError: A file is damaged. The message names it.
        """
        try:
            return super()._read_checked(split)
        except Exception as error:
            folder = Path(self.hparams.root, self.folder)
            damages = {name: damage for name in self.files if (damage := self.find_damage(folder / name))}
            reasons = [f"{name} {damage}" for name, damage in damages.items()] or [one_line(error)]
            raise UserError(
                f"{type(self).__name__}: the files in {folder} are damaged: {'; '.join(reasons)}. "
                f"Delete {', '.join(damages) or 'them'}, and the next run downloads the files again"
            ) from error

    def prepare_data(self) -> None:
        """Download missing files; none of them appears in the folder before all are complete.

        Raises:
            UserError: Files are missing and cannot be downloaded.
        """
        folder = Path(self.hparams.root, self.folder)
        missing = [name for name in self.files if not (folder / name).is_file()]
        if not missing:
            return
        reason = "download is switched off"
        if self.hparams.download:
            try:
                self._download(folder)
                return
            except (OSError, RuntimeError) as error:
                reason = f"downloading failed: {one_line(error)}"
        raise UserError(
            f"{type(self).__name__} needs these files in {folder}: {', '.join(missing)} ({reason}). "
            "No files are needed for: python -m classifier fit --config digits"
        )

    def _download(self, folder: Path) -> None:
        """Download all files to a temporary folder, and then move them to `folder`."""
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.TemporaryDirectory(dir=self.hparams.root, prefix=".download-") as unfinished,
                contextlib.redirect_stdout(io.StringIO()),
            ):
                self.torchvision_class(unfinished, download=True)
                for name in self.files:
                    Path(unfinished, self.folder, name).replace(folder / name)
        finally:
            socket.setdefaulttimeout(timeout)
