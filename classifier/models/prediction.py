"""Predict the classes of images of any kind: files, Pillow images, arrays and tensors."""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor

from classifier.data.image_files.decoding import STORED_SETTINGS, Decoding
from classifier.data.image_files.in_memory import AnyImage, read_any_image
from classifier.data.image_files.inversion import Invert, invert_images
from classifier.errors import require
from classifier.hparams import CheckedHyperparameters, to_builtin_types
from classifier.models.evaluation_mode import evaluation_mode


class Prediction(NamedTuple):
    """The predicted class of an image.

    Args:
        label: Name of the most probable class.
        probability: Probability of that class, from 0 to 1.
        probabilities: Probability of every class, by its name, in the order of the labels.
    """

    label: str
    probability: float
    probabilities: dict[str, float]

    def __repr__(self) -> str:
        """Return the predicted class and its probability, such as "dog (93.2%)"."""
        return f"{self.label} ({self.probability:.1%})"


class InputFormat(NamedTuple):
    """What the images are like that a network was trained on.

    Args:
        decoding: Settings with which image files were decoded, by name: resize, max_value and max_pixels. It is empty
            if the images were not in files of their own.
        dark_background: Whether all images show light objects on black.
    """

    decoding: dict[str, Any]
    dark_background: bool = False


def describe_input(data: Any) -> InputFormat:
    """Return the format of the images of a data module."""
    decoding = getattr(data, "decoding", None)
    settings = {}
    if isinstance(decoding, Decoding):  # its shape is the network's
        settings = {name: to_builtin_types(getattr(decoding, name)) for name in STORED_SETTINGS}
    return InputFormat(settings, getattr(data, "dark_background", False))


class PredictingModule(CheckedHyperparameters, L.LightningModule):
    """A LightningModule that predicts the classes of images as they come, not only of batches."""

    stored_input: InputFormat | None = None  # of the checkpoint that the network was loaded from

    @property
    def input_format(self) -> InputFormat:
        """The format of the images of the Trainer's data module or, without one, of those in the checkpoint."""
        with contextlib.suppress(RuntimeError):  # of Lightning, if the network is not used by a Trainer
            if (data := getattr(self.trainer, "datamodule", None)) is not None:
                return describe_input(data)
        return self.stored_input or InputFormat({})

    @property
    def decoding(self) -> Decoding:
        """How image files are decoded for this network."""
        return Decoding(tuple(self.hparams.image_shape), **self.input_format.decoding)

    def predict(
        self,
        images: AnyImage | Sequence[AnyImage],
        invert: Invert = "auto",
        batch_size: int = 250,
    ) -> Prediction | list[Prediction]:
        """Return the predicted class of an image, or of every image in a list.

        Images are decoded, resized and normalised as in training, and as the command `predict` does.

        Args:
            images: An image or a list of images. An image is the path of a file; a Pillow image; an array (H, W) or
                (H, W, C) with 1, 3 or 4 channels; or a tensor (H, W) or (C, H, W). Values are uint8, uint16 (grey
                only), bool, or float in [0, 1]. Arrays (N, H, W, C) and tensors (N, C, H, W) are lists of images.
            invert: Whether to invert the brightness of images: yes, no or auto. With auto, images with a light border
                are inverted if the network was trained on light objects on black, as in FashionMNIST and Digits.
            batch_size: Number of images that are in memory at the same time, above 0.

        Raises:
            ImageError: A file cannot be decoded.
            SettingError: The type, the shape or the values of an array or a tensor are wrong.
        """
        is_list = isinstance(images, (list, tuple)) or (isinstance(images, (np.ndarray, Tensor)) and images.ndim == 4)
        given: Sequence[AnyImage] = images if is_list else [images]  # type: ignore[assignment,list-item]
        require(invert in ("auto", "yes", "no"), f"invert must be auto, yes or no, not {invert!r}")
        require(batch_size > 0, f"batch_size must be above 0, not {batch_size}")
        decoding, dark_background = self.decoding, self.input_format.dark_background
        names = [str(name) for name in self.hparams.class_names or range(self.hparams.num_classes)]
        predictions = []
        for start in range(0, len(given), batch_size):
            batch = torch.stack([read_any_image(image, decoding) for image in given[start : start + batch_size]])
            invert_images(batch, invert, dark_background)
            predictions += [describe_prediction(row, names) for row in self.compute_probabilities(batch).tolist()]
        return predictions if is_list else predictions[0]

    def compute_probabilities(self, images: Tensor) -> Tensor:
        """Return probabilities (N, num_classes) on the CPU for uint8 images (N, C, H, W), in evaluation mode."""
        with evaluation_mode(self), torch.inference_mode():
            return self.predict_step(images.to(self.device), 0).cpu()


def describe_prediction(probabilities: list[float], names: Sequence[str]) -> Prediction:
    """Return the prediction for the probabilities (C,) of the classes with these names, in the order of the labels."""
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return Prediction(names[best], probabilities[best], dict(zip(names, probabilities, strict=True)))
