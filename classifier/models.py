"""The networks, each a subclass with its layers."""

import math
from collections import OrderedDict
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from classifier.base import ImageClassifier
from classifier.errors import require
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
