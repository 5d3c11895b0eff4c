"""Normalisation of images at the input of a network."""

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from classifier.errors import require
from classifier.hparams import CheckedHyperparameters


class InputNormalisation(CheckedHyperparameters, LightningModule):
    """Mixin that converts uint8 or float images to what the layers of a network take.

    The hyperparameters `image_shape`, `mean` and `std` describe it. A network calls `set_normalisation` when they
    change, and sets `memory_format`.
    """

    mean: Tensor  # (C, 1, 1), as std
    std: Tensor
    memory_format: torch.memory_format
    floats_checked = False  # whether the network has already been given float images

    def set_normalisation(self) -> None:
        """Set the normalisation of `forward` from the hyperparameters `mean` and `std`."""
        for name, default in (("mean", 0.0), ("std", 1.0)):
            value = torch.tensor(self.hparams[name] or (default,), device=self.device)
            channels = self.hparams.image_shape[0]
            counts = "1 number" if channels == 1 else f"1 or {channels} numbers"
            require(len(value) in (1, channels), f"{name} needs {counts}, not {len(value)}")
            self.register_buffer(name, value.expand(channels).reshape(-1, 1, 1).clone(), persistent=False)
        # Not computed from the buffers, which have no values on the meta device.
        self.normalises = any(self.hparams.mean or ()) or any(value != 1 for value in self.hparams.std or ())

    def normalise(self, images: Tensor) -> Tensor:
        """Return normalised float images (N, C, H, W) for images that are uint8, or float in [0, 1]."""
        scale = 255 if images.dtype == torch.uint8 else 1
        if scale == 1 and not (self.floats_checked or is_traced(images)):
            self.floats_checked = True  # only once, because reading a value waits for the device
            warn_about_range(images)
        images = images.to(self.mean.dtype, memory_format=self.memory_format)
        if scale != 1:
            images = images.div_(scale)  # in place, because it is a copy
        if self.normalises:
            images = (images - self.mean).div_(self.std)
        return images


def is_traced(images: Tensor) -> bool:
    """Return whether the values of images are not known, because a compiler or an exporter records the program."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or type(images) is not Tensor or images.is_meta


def warn_about_range(images: Tensor) -> None:
    """Warn if float images are not in [0, 1], for example because they are already normalised."""
    if images.numel():
        low, high = (value.item() for value in images.detach().aminmax())
        if not (low >= 0 and high <= 1):  # also if a value is NaN
            rank_zero_warn(
                f"The images are {images.dtype} from {low:.4g} to {high:.4g}, but float images must be from 0 to 1, "
                "and are normalised by the network. Pass uint8 images from 0 to 255, or divide float images by 255."
            )
