"""A multilayer perceptron."""

import math
from itertools import pairwise
from typing import Any, ClassVar

from torch import nn

from classifier.errors import require
from classifier.hparams import ALL_POSITIVE, Limit
from classifier.models.base import ImageClassifier

MAX_LAYERS = 1000  # building more takes longer than anyone would wait


class MLP(ImageClassifier):
    """Multilayer perceptron with ReLU; by default, its layers have 784, 256, 128 and 10 units and 235,146 parameters.

    The layers and the training hyperparameters are those of the tutorial "classify fashion items with a neural
    network".

    Args:
        hidden_sizes: Number of units of each hidden layer, each from 1 to 1,000,000.
        **kwargs: Further arguments of ImageClassifier.
    """

    limits: ClassVar[dict[str, Limit]] = {"hidden_sizes": ALL_POSITIVE}
    largest: ClassVar[dict[str, int]] = {"hidden_sizes": 10**6}

    def __init__(self, hidden_sizes: tuple[int, ...] = (256, 128), **kwargs: Any) -> None:
        super().__init__(**kwargs)  # which saves all arguments, hidden_sizes included, in self.hparams

    def build_network(self) -> nn.Module:
        """Return the layers: flatten, then linear layers with ReLU between them."""
        require(len(self.hparams.hidden_sizes) <= MAX_LAYERS, f"hidden_sizes has more than {MAX_LAYERS} numbers")
        sizes = (math.prod(self.hparams.image_shape), *self.hparams.hidden_sizes, self.hparams.num_classes)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])
