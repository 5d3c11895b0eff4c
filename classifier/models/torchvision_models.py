"""The classification networks of torchvision."""

import difflib
import inspect
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from classifier.errors import SettingError, first_line, require
from classifier.models.base import ImageClassifier
from classifier.models.evaluation_mode import evaluation_mode
from classifier.models.torchvision_weights import crop_kernels, read_weights


class TorchVision(ImageClassifier):
    """Any classification network of torchvision, such as resnet18, with the first and last layer adapted to the data.

    If the height or the width of the images is below 64 pixels, the first convolution has a 3x3 kernel, and the first
    strided layers, which would reduce an image to a quarter of its height and width, have a stride of 1. A training
    batch of one image is processed in evaluation mode, because BatchNorm cannot compute its statistics.

    Args:
        name: Name of the network, one of `torchvision.models.list_models(module=torchvision.models)`.
        weights: Pretrained weights: DEFAULT or another name of torchvision's weights, which are downloaded unless they
            are in PyTorch's cache, or a .pth file. The last layer is reinitialised if the number of classes differs.
            The first kernels are cropped to their centre if they are too large. They are summed over their channels
            for images of one channel, and reinitialised for any number other than 1 or 3. With torchvision's weights,
            `mean` and `std` default to theirs, averaged over the channels unless the images have 3.
        lr: Learning rate of SGD, above 0.
        momentum: Momentum of SGD, from 0 to below 1.
        **kwargs: Further arguments of ImageClassifier.

    Raises:
        SettingError: torchvision has no such network, the network cannot process images of this size, or the weights
            do not match the network.
        UserError: The weights cannot be read.
    """

    def __init__(
        self,
        name: str = "resnet18",
        weights: str | None = None,
        lr: float = 0.01,
        momentum: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr=lr, momentum=momentum, **kwargs)
        if self.hparams.weights:
            self.load_weights(self.hparams.weights)

    def build_network(self) -> nn.Module:
        """Return torchvision's network, after a test with one image of the data's shape.

        Raises:
            SettingError: torchvision has no such network, or the network cannot process images of this size.
        """
        name, (channels, height, width) = self.hparams.name, self.hparams.image_shape
        names = torchvision.models.list_models(module=torchvision.models)
        close = difflib.get_close_matches(name, names) or names
        require(name in names, f"torchvision has no network {name}; did you mean {', '.join(close)}?")
        network_class = inspect.signature(torchvision.models.get_model_builder(name)).return_annotation
        options = {"aux_logits": False, "init_weights": True, "image_size": height, "input_size": (height, width)}
        options = {key: options[key] for key in options.keys() & inspect.signature(network_class).parameters}
        try:
            network = torchvision.models.get_model(name, num_classes=self.hparams.num_classes, **options)
            keep_size = min(height, width) < 64 and not {"image_size", "input_size"} & options.keys()
            adapt_first_layers(network.eval(), channels, keep_size)
            with torch.no_grad():
                network(torch.zeros(1, channels, height, width))
        except (AssertionError, RuntimeError, ValueError) as error:
            size = f"{height}x{width} pixels"
            raise SettingError(f"{name} cannot work on images of {size} ({first_line(error)})") from error
        return network.train()

    def load_weights(self, weights: str) -> None:
        """Load pretrained weights from torchvision or from a file.

        Args:
            weights: Name of torchvision's weights, or path of a .pth file.

        Raises:
            SettingError: There are no such weights, or they do not match the network.
            UserError: The weights cannot be read or downloaded.
        """
        loaded, normalisation = read_weights(self.hparams.name, weights)
        if hasattr(self.network, "transform_input"):  # with weights, torchvision makes it scale images to [-1, 1]
            normalisation = dict.fromkeys(normalisation, (0.5, 0.5, 0.5))
        for key, values in normalisation.items():
            fitting = values if self.hparams.image_shape[0] == len(values) else [sum(values) / len(values)]
            self.hparams[key] = self.hparams[key] or tuple(fitting)
        self.set_normalisation()
        own, misfit = self.network.state_dict(), f"weights {weights} do not fit {self.hparams.name}"
        loaded = {key: value for key, value in loaded.items() if not key.lower().startswith("aux")}
        # Files of older versions do not count batches.
        odd = [key for key in own.keys() ^ loaded.keys() if not key.endswith("num_batches_tracked")]
        require(not odd, f"{misfit}: {min(odd, default='')} is in only one of the two")
        first = next(key for key, tensor in own.items() if tensor.dim() == 4)
        for key, value in loaded.items():
            shape = own[key].shape
            value = crop_kernels(value, shape) if key == first else value
            if value.shape == shape:
                own[key] = value
            else:
                initialised_again = key == first or shape[0] == self.hparams.num_classes
                require(initialised_again, f"{misfit}: {key} has the shape {tuple(value.shape)}, not {tuple(shape)}")
        self.network.load_state_dict(own)

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


def adapt_first_layers(network: nn.Module, channels: int, keep_size: bool) -> None:
    """Adapt a network in place to the number of channels and the size of the images.

    Args:
        network: A torchvision network in evaluation mode, for images of three channels.
        channels: Number of channels of the images, above 0.
        keep_size: Whether to set the stride of the first strided layers, which would reduce an image to a quarter of
            its height and width, to 1.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.MaxPool2d))]
    first: Any = layers[0]
    side = 96  # the smallest side that all networks accept unchanged
    strided: list[Any] = []

    def collect(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        if inputs[0].shape[-1] > side / 4 and layer.stride not in (1, (1, 1)):
            strided.append(layer)

    if keep_size:
        hooks = [layer.register_forward_pre_hook(collect) for layer in layers]
        with torch.no_grad():
            network(torch.zeros(1, 3, side, side))
        for hook in hooks:
            hook.remove()
        for layer in strided:
            layer.stride = (1, 1)
            if isinstance(layer, nn.MaxPool2d):
                layer.kernel_size, layer.padding = 1, 0
        if first in strided:
            first.kernel_size, first.padding = (3, 3), (1, 1)
    shape = (first.out_channels, channels, *first.kernel_size)
    if first.weight.shape != shape:
        first.in_channels, first.weight = channels, nn.Parameter(torch.empty(shape))
        first.reset_parameters()
