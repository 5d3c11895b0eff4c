"""Base class of the networks of other libraries: their weights, their first layers, and what is reported of both."""

from abc import abstractmethod
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from classifier.errors import SettingError, UserError, first_line, require
from classifier.models.base import ImageClassifier
from classifier.models.evaluation_mode import evaluation_mode
from classifier.models.stem import SMALL_OR_MEDIUM, Stem, adapt_first_layers, count_multiply_adds, order_stems
from classifier.models.weight_files import fit_weights

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class PretrainedNetwork(ImageClassifier):
    """Base class of the networks of other libraries, with the first and last layer adapted to the data.

    A training batch of one image is processed in evaluation mode, because BatchNorm cannot compute its statistics.

    Args:
        name: Name of the network in its library.
        weights: Pretrained weights: auto, DEFAULT, another name that the library has for weights, or a .pth file.
            DEFAULT is downloaded unless it is in the library's cache. auto is DEFAULT if that is possible, and
            otherwise trains from scratch; which of the two is printed. The last layer is set to 0 if the number of
            classes differs. The first kernels are cropped to their centre if they are too large. They are summed over
            their channels for images of one channel, and reinitialised for any number other than 1 or 3. With the
            library's weights, `mean` and `std` default to theirs, averaged over the channels unless the images have 3.
        stem: The first layers. standard: those of the library, which usually reduce an image to a quarter of its height
            and width. full_resolution: their stride is 1 and the first kernels have 3x3 pixels, which takes up to 16
            times as long, but loses fewer details of small images. auto: full_resolution for images of up to 32 pixels
            in height or width, otherwise standard; the other one where the network does not support that. For images
            below 64 pixels, the choice and its cost are printed.
        keep_statistics: Whether BatchNorm keeps using the means and variances of the pretrained weights in training,
            because those of a few hundred images are less accurate. It is switched off if `auto` finds no weights.
        lr: Learning rate of SGD, above 0.
        momentum: Momentum of SGD, from 0 to below 1.
        **kwargs: Further arguments of ImageClassifier.

    Raises:
        SettingError: The library has no such network, the network cannot process images of this size, or the weights
            do not match the network.
        UserError: The weights cannot be read.
    """

    weights_report = ""  # whether `auto` found pretrained weights, and if not, why

    def __init__(
        self,
        name: str = "resnet18",
        weights: str | None = None,
        stem: Stem = "auto",
        keep_statistics: bool = False,
        lr: float = 0.01,
        momentum: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr=lr, momentum=momentum, **kwargs)
        if self.hparams.weights == "auto":
            self._load_weights_if_possible()
        elif self.hparams.weights:
            self.load_weights(self.hparams.weights)

    @abstractmethod
    def create_network(self) -> nn.Module:
        """Return the library's network with `num_classes` outputs, for images of this size.

        The first layer may take three channels, or as many as the images have.

        Raises:
            SettingError: The library has no such network.
        """

    @abstractmethod
    def takes_size(self) -> bool:
        """Return whether the network is built for one size of images, as a transformer is; its stem is then fixed."""

    @abstractmethod
    def read_weights(self, weights: str) -> tuple[dict[str, Tensor], dict[str, tuple[float, ...]]]:
        """Return pretrained weights, and the normalisation that they were trained with.

        Args:
            weights: A .pth file, DEFAULT, or another name that the library has for weights of this network.

        Returns:
            The state_dict, and a dict with `mean` and `std` of pixels in [0, 1], or without them if they are not known.

        Raises:
            SettingError: There is no such file, and the library has no such weights.
            UserError: The weights cannot be read or downloaded.
        """

    def build_network(self) -> nn.Module:
        """Return the library's network, after a test with one image of the data's shape.

        Raises:
            SettingError: The library has no such network, or the network cannot process images of this size.
        """
        errors: list[SettingError] = []
        for stem in order_stems(self.hparams.stem, min(self.hparams.image_shape[1:]), self.takes_size()):
            try:
                network = self._build(stem)
                self.hparams["stem"] = stem
                return network.train()
            except SettingError as error:
                errors.append(error)
        raise errors[0]

    def _build(self, stem: Stem) -> nn.Module:
        """Return the network with a stem, in evaluation mode.

        Raises:
            SettingError: The library has no such network, or the network cannot process images of this size.
        """
        name, (channels, height, width) = self.hparams.name, self.hparams.image_shape
        full_resolution = stem == "full_resolution"
        require(not (full_resolution and self.takes_size()), f"{name} has no stem that could be changed")
        try:
            network = self.create_network().eval()
            adapt_first_layers(network, channels, full_resolution)
            with torch.no_grad():
                network(torch.zeros(1, channels, height, width))
        except UserError:
            raise
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            size = f"{height}x{width} pixels"
            raise SettingError(f"{name} cannot work on images of {size} ({first_line(error)})") from error
        return network

    def load_weights(self, weights: str) -> None:
        """Load pretrained weights from the library or from a file, and set the normalisation to theirs.

        Args:
            weights: A .pth file, DEFAULT, or another name that the library has for weights of this network.

        Raises:
            SettingError: There are no such weights, or they do not match the network.
            UserError: The weights cannot be read or downloaded.
        """
        loaded, normalisation = self.read_weights(weights)
        misfit = f"weights {weights} do not fit {self.hparams.name}"
        fit_weights(self.network, loaded, self.hparams.num_classes, misfit)
        for key, values in normalisation.items():
            fitting = values if self.hparams.image_shape[0] == len(values) else [sum(values) / len(values)]
            self.hparams[key] = self.hparams[key] or tuple(fitting)
        self.set_normalisation()

    def _load_weights_if_possible(self) -> None:
        """Load the weights DEFAULT if they can be read and fit, and set the hyperparameter `weights` to what was done.

        This is how `auto` works also without a connection to the internet.
        """
        name = self.hparams.name
        try:
            self.load_weights("DEFAULT")
        except UserError as error:
            self.hparams["weights"], self.hparams["keep_statistics"] = None, False
            self.weights_report = (
                f"{name} is trained from scratch, because its pretrained weights are missing; with few images, the "
                f"accuracy is much lower. {error}"
            )
        else:
            self.hparams["weights"] = "DEFAULT"
            self.weights_report = f"{name} starts from pretrained weights, and is fine-tuned"

    def on_fit_start(self) -> None:
        """Print whether `auto` found pretrained weights and, for small images, the stem and what it costs."""
        super().on_fit_start()
        check_statistics(self)
        for text in (self.weights_report, self.describe_stem()):
            if text:
                rank_zero_only(print)(text, flush=True)

    def on_train_epoch_start(self) -> None:
        """Set BatchNorm to evaluation mode if it keeps its statistics. At the start of `fit`, Lightning would warn."""
        super().on_train_epoch_start()
        for layer in list_kept_layers(self):
            layer.eval()

    def describe_stem(self) -> str:
        """Return the stem and its cost in one line, or an empty text if the images are too large for a choice."""
        h = self.hparams
        small = min(h.image_shape[1:]) < SMALL_OR_MEDIUM
        if self.takes_size() or not (small or h.stem == "full_resolution"):
            return ""
        other: Stem = "standard" if h.stem == "full_resolution" else "full_resolution"
        cost, other_cost = self._count_multiply_adds(h.stem), self._count_multiply_adds(other)
        text = f"stem: {h.stem} ({cost / 1e6:,.1f} million multiply-adds per image"
        if not other_cost:
            return f"{text}); {h.name} cannot work on these images with the stem {other}"
        if other == "standard":
            return f"{text}, {cost / other_cost:.1f} times as many as with --model.stem standard)"
        return f"{text}); --model.stem full_resolution takes {other_cost / cost:.1f} times as many"

    def _count_multiply_adds(self, stem: Stem) -> int:
        """Return the number of multiply-adds per image with a stem, or 0 if the network does not support it."""
        try:
            with torch.device("meta"):
                return count_multiply_adds(self._build(stem), self.hparams.image_shape)
        except SettingError:
            return 0

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the checkpoint with `weights` set to None, so that loading it does not download the weights again."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["hyper_parameters"]["weights"] = None

    def forward(self, images: Tensor) -> Tensor:
        """Return unnormalised logits (N, num_classes) for images (N, C, H, W), uint8 or float in [0, 1]."""
        if len(images) > 1 or not self.training:
            return super().forward(images)
        with evaluation_mode(self.network):
            return super().forward(images)


def list_kept_layers(module: ImageClassifier) -> list[Any]:
    """Return the BatchNorm layers that keep their statistics, or an empty list if `keep_statistics` is off."""
    layers = [layer for layer in module.network.modules() if isinstance(layer, BATCH_NORMS)]
    return [layer for layer in layers if layer.track_running_stats] if module.hparams.keep_statistics else []


def check_statistics(module: ImageClassifier) -> None:
    """Check that BatchNorm layers that keep their statistics have some.

    Raises:
        SettingError: They do not, because the network has no pretrained weights.
    """
    known = [bool(layer.running_mean.any()) for layer in list_kept_layers(module)]
    require(
        bool(module.hparams.weights) or any(known) or not known,
        "keep_statistics needs pretrained weights: set --model.weights, or --model.keep_statistics false",
    )
