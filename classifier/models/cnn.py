"""A small convolutional network."""

import inspect
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from classifier.data.dataset import Batch
from classifier.errors import require
from classifier.models.base import ImageClassifier

MAX_BATCH_WITHOUT_ONEDNN = 8


class CNN(ImageClassifier):
    """Network of two convolutions with max pooling and three linear layers; by default, it has 62,006 parameters.

    The layers, their names and the training hyperparameters are those of PyTorch's tutorial "Training a Classifier".

    Args:
        image_shape: Channels, height and width of an image in pixels; height and width are at least 16.
        lr: Learning rate of SGD, above 0.
        momentum: Momentum of SGD, from 0 to below 1.
        **kwargs: Further arguments of ImageClassifier.
    """

    is_small_batch = False  # until training_step, which a subclass may replace, has seen a batch

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        lr: float = 0.001,
        momentum: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape=image_shape, lr=lr, momentum=momentum, **kwargs)

    def build_network(self) -> nn.Module:
        """Return the layers, with the names that they have in the tutorial.

        Raises:
            SettingError: The images are smaller than 16x16 pixels.
        """
        channels, *size = self.hparams.image_shape
        # A 5x5 convolution removes 4 pixels of a side, and pooling halves it; twice.
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

    # oneDNN's set-up costs more than it saves for small batches: 20% of a step of 4 images. It is switched off in the
    # two hooks that compute, not from batch start to batch end, so that a step that fails cannot leave it off.

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy for images (N, C, H, W) and labels (N,).

        Batches of at most 8 images run without oneDNN, which is faster.
        """
        self.is_small_batch = len(batch[1]) <= MAX_BATCH_WITHOUT_ONEDNN
        if not self.is_small_batch:
            return super().training_step(batch, batch_idx)
        with disable_onednn():
            return super().training_step(batch, batch_idx)

    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]  # as in the base

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Compute the gradients of a loss, without oneDNN for a small batch."""
        if not self.is_small_batch:
            super().backward(loss, *args, **kwargs)
            return
        with disable_onednn():
            super().backward(loss, *args, **kwargs)


class disable_onednn:  # noqa: N801 a context manager, as torch.no_grad; a generator would take twice as long
    """Disables oneDNN while the context is open, and then restores the previous setting."""

    def __enter__(self) -> None:
        """Switch oneDNN off."""
        self.was_enabled = torch.backends.mkldnn.enabled
        torch.backends.mkldnn.enabled = False  # type: ignore[assignment]

    def __exit__(self, *error: object) -> None:
        """Restore the setting."""
        torch.backends.mkldnn.enabled = self.was_enabled
