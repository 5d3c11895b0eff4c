"""A multilayer perceptron."""

import math
from itertools import pairwise
from typing import Any, ClassVar

from torch import nn

from classifier.hparams import ALL_POSITIVE, Limit
from classifier.models.base import ImageClassifier


class MLP(ImageClassifier):
    """Multilayer perceptron with ReLU; by default, its layers have 784, 256, 128 and 10 units and 235,146 parameters.

    The layers and the training hyperparameters are those of the tutorial "classify fashion items with a neural
    network".

    Args:
        hidden_sizes: Number of units of each hidden layer, each above 0.
        **kwargs: Further arguments of ImageClassifier.
    """

    limits: ClassVar[dict[str, Limit]] = {"hidden_sizes": ALL_POSITIVE}

    def __init__(self, hidden_sizes: tuple[int, ...] = (256, 128), **kwargs: Any) -> None:
        super().__init__(**kwargs)  # which saves all arguments, hidden_sizes included, in self.hparams

    def build_network(self) -> nn.Module:
        """Return the layers: flatten, then linear layers with ReLU between them."""
        sizes = (math.prod(self.hparams.image_shape), *self.hparams.hidden_sizes, self.hparams.num_classes)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])
