"""The networks, each a subclass with its layers."""

import difflib
import inspect
import math
import re
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from classifier.base import ImageClassifier
from classifier.errors import SettingError, UserError, require
from classifier.loading import Batch


class MLP(ImageClassifier):
    """Fully connected network with ReLU; by default 784-256-128-10 with 235,146 parameters.

    Layers and training are those of the tutorial "classify fashion items with a neural network".

    Args:
        hidden_sizes: Widths of the hidden layers, each above 0.
        **options: Further arguments of ImageClassifier.
    """

    def __init__(self, hidden_sizes: tuple[int, ...] = (256, 128), **options: Any) -> None:
        require(all(size > 0 for size in hidden_sizes), f"hidden_sizes must be above 0, not {hidden_sizes}")
        super().__init__(**options)

    def build_network(self) -> nn.Module:
        """Return flatten, linear and ReLU layers."""
        sizes = (math.prod(self.hparams.image_shape), *self.hparams.hidden_sizes, self.hparams.num_classes)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])


class CNN(ImageClassifier):
    """Two convolutions with pooling and three linear layers; by default 62,006 parameters.

    Layers, their names and training are those of PyTorch's tutorial "Training a Classifier".

    Args:
        image_shape: Channels, height and width of an image in pixels; at least 16 x 16.
        lr: Learning rate of SGD, above 0.
        momentum: Momentum of SGD, from 0 to below 1.
        **options: Further arguments of ImageClassifier.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        lr: float = 0.001,
        momentum: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(image_shape=image_shape, lr=lr, momentum=momentum, **options)

    def build_network(self) -> nn.Module:
        """Return the layers under the tutorial's names."""
        channels, *size = self.hparams.image_shape
        # A 5x5 convolution takes 4 pixels of a side, pooling halves it; twice.
        height, width = (((side - 4) // 2 - 4) // 2 for side in size)
        require(
            min(height, width) > 0,
            f"CNN needs images of at least 16x16 pixels, these have {size[0]}x{size[1]}: use the MLP",
        )
        return nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(channels, 6, 5),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(6, 16, 5),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                fc1=nn.Linear(16 * height * width, 120),
                relu3=nn.ReLU(),
                fc2=nn.Linear(120, 84),
                relu4=nn.ReLU(),
                fc3=nn.Linear(84, self.hparams.num_classes),
            )
        )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Do small batches without oneDNN, whose set-up then costs more than it saves: 20 % of a step of 4 images."""
        self.onednn = torch.backends.mkldnn.enabled
        torch.backends.mkldnn.enabled = self.onednn and len(batch[1]) > 8

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Set oneDNN back, for evaluation and whatever else runs in this program."""
        torch.backends.mkldnn.enabled = self.onednn


class TorchVision(ImageClassifier):
    """Any classification network of torchvision, such as resnet18, with first and last layer made for the data.

    For images under 64 pixels the first convolution is 3x3, and what would bring them to a quarter of their side
    leaves their size alone. A training batch of a single image, as the last one may be, is normalised by the running
    statistics, as it has none of its own.

    Args:
        name: Name of the network, one of `torchvision.models.list_models(module=torchvision.models)`.
        weights: What to start from: DEFAULT or another name of torchvision's weights, which are downloaded unless
            they are in PyTorch's cache, or a .pth file. The last layer starts anew if it has other classes. The first
            keeps the sum over the channels for grey images, and of larger kernels the middle. With torchvision's
            weights, `mean` and `std` are by default theirs, of grey images the average.
        lr: Learning rate of SGD, above 0.
        momentum: Momentum of SGD, from 0 to below 1.
        **options: Further arguments of ImageClassifier.

    Raises:
        ValueError: When there is no such network or none for such images, or weights are missing or do not fit.
    """

    def __init__(
        self,
        name: str = "resnet18",
        weights: str | None = None,
        lr: float = 0.01,
        momentum: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(lr=lr, momentum=momentum, **options)
        if self.hparams.weights:
            self.load_weights(self.hparams.weights)

    def build_network(self) -> nn.Module:
        """Return torchvision's network, which has taken one image of the data's shape."""
        name, (channels, height, width) = self.hparams.name, self.hparams.image_shape
        names = torchvision.models.list_models(module=torchvision.models)
        close = difflib.get_close_matches(name, names) or names
        require(name in names, f"torchvision has no network {name}; did you mean {', '.join(close)}?")
        network_class = inspect.signature(torchvision.models.get_model_builder(name)).return_annotation
        options = {"aux_logits": False, "init_weights": True, "image_size": height, "input_size": (height, width)}
        options = {key: options[key] for key in options.keys() & inspect.signature(network_class).parameters}
        try:
            network = torchvision.models.get_model(name, num_classes=self.hparams.num_classes, **options)
            small = min(height, width) < 64 and not {"image_size", "input_size"} & options.keys()
            fit_first_layers(network.eval(), channels, small)
            with torch.no_grad():
                network(torch.zeros(1, channels, height, width))
        except (AssertionError, RuntimeError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise SettingError(f"{name} cannot work on images of {height}x{width} pixels ({reason})") from error
        return network.train()

    def load_weights(self, weights: str) -> None:
        """Start from weights of torchvision's or of a file, as the class describes."""
        given, normalisation = read_weights(self.hparams.name, weights)
        if hasattr(self.network, "transform_input"):  # with its weights, torchvision sets it to put images into [-1, 1]
            normalisation = dict.fromkeys(normalisation, (0.5, 0.5, 0.5))
        for key, values in normalisation.items():
            fitting = values if self.hparams.image_shape[0] == len(values) else [sum(values) / len(values)]
            self.hparams[key] = self.hparams[key] or tuple(fitting)
        self.set_normalisation()
        own, misfit = self.network.state_dict(), f"weights {weights} do not fit {self.hparams.name}"
        given = {key: value for key, value in given.items() if not key.lower().startswith("aux")}
        # Files of older versions do not count batches.
        odd = [key for key in own.keys() ^ given.keys() if not key.endswith("num_batches_tracked")]
        require(not odd, f"{misfit}: {min(odd, default='')} is in only one of the two")
        first = next(key for key, tensor in own.items() if tensor.dim() == 4)
        for key, value in given.items():
            shape = own[key].shape
            value = fit_kernels(value, shape) if key == first else value
            if value.shape == shape:
                own[key] = value
            else:
                anew = key == first or shape[0] == self.hparams.num_classes
                require(anew, f"{misfit}: {key} has the shape {tuple(value.shape)}, not {tuple(shape)}")
        self.network.load_state_dict(own)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the base adds; the weights are in the checkpoint, and are not to be fetched again."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["hyper_parameters"]["weights"] = None

    def forward(self, images: Tensor) -> Tensor:
        """Return unnormalised logits (N, num_classes) for images (N, C, H, W), uint8 or float in [0, 1]."""
        if len(images) > 1 or not self.training:
            return super().forward(images)
        self.network.eval()
        try:
            return super().forward(images)
        finally:
            self.network.train()


def read_weights(name: str, weights: str) -> tuple[dict[str, Tensor], dict[str, tuple[float, ...]]]:
    """Return the state_dict of a file, or torchvision's for a network with `mean` and `std` of its images.

    Raises:
        ValueError: When there is none.
    """
    if Path(weights).is_file():
        try:
            return dict(torch.load(weights, map_location="cpu", weights_only=True)), {}
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise UserError(f"weights {weights}: no state_dict can be read from this file ({reason[0]})") from error
    entries = torchvision.models.get_model_weights(name).__members__
    require(weights in entries, f"weights {weights}: there is no such file, and torchvision has {', '.join(entries)}")
    entry = entries[weights]
    try:
        state = entry.get_state_dict(map_location="cpu", check_hash=True, weights_only=True)
    except Exception as error:
        file = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
        problem = f"{'is damaged' if file.is_file() else 'could not be downloaded'} ({str(error).splitlines()[0]})"
        raise UserError(f"weights {weights}: {file} {problem}; put there what is at {entry.url}") from error
    # The names of densenet's layers were others when its weights were saved.
    state = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key): value for key, value in state.items()}
    images = entry.transforms()
    return state, {"mean": images.mean, "std": images.std}


def fit_kernels(kernels: Tensor, shape: torch.Size) -> Tensor:
    """Return the middle of convolution kernels (out, in, height, width), for grey images summed over the channels."""
    if shape[1] == 1:
        kernels = kernels.sum(1, keepdim=True)
    top, left = ((have - need) // 2 for have, need in zip(kernels.shape[2:], shape[2:], strict=True))
    return kernels[:, :, top : top + shape[2], left : left + shape[3]]


def fit_first_layers(network: nn.Module, channels: int, small: bool) -> None:
    """Make a network take images of `channels`; for small ones, keep their size where it would become a quarter."""
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.MaxPool2d))]
    first, side, strided = layers[0], 96, []  # the smallest side that all networks take as they are

    def note(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        if inputs[0].shape[-1] > side / 4 and layer.stride not in (1, (1, 1)):
            strided.append(layer)

    if small:
        hooks = [layer.register_forward_pre_hook(note) for layer in layers]
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
