"""The network of "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (Jordan, 2024, arXiv 2404.00498)."""

from collections import OrderedDict
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from classifier.errors import SettingError, require
from classifier.hparams import NOT_NEGATIVE, POSITIVE, Limit
from classifier.models.base import ImageClassifier
from classifier.models.optimization import group_batchnorm_biases


class Scale(nn.Module):
    """Multiplies its input by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        """Return the values, a float tensor of any shape, multiplied by the factor."""
        return values * self.factor


class Airbench(ImageClassifier):
    """Convolutional network for fast training: a whitening layer, three groups of two convolutions, a linear layer.

    Layers and initialisation are those of "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (Jordan, 2024). By default,
    it has 1,972,792 parameters. The recipe cifar10_fast uses the paper's training hyperparameters.

    Args:
        image_shape: Channels, height and width of an image in pixels; height and width are at least 17.
        widths: Numbers of output channels of the three groups, each above 0.
        bias_epochs: Number of epochs in which the bias of the whitening layer is trained, at least 0. Its weights are
            never trained.
        bias_lr: Learning rate of the BatchNorm biases as a multiple of `lr`, above 0.
        **kwargs: Further arguments of ImageClassifier.
    """

    num_images = 5000  # for the whitening, as in the paper
    limits: ClassVar[dict[str, Limit]] = {
        "widths": ("three numbers above 0", lambda widths: len(widths) == 3 and min(widths) > 0),
        "bias_epochs": NOT_NEGATIVE,
        "bias_lr": POSITIVE,
    }
    largest: ClassVar[dict[str, int]] = {"widths": 100_000, "bias_epochs": 10**9}

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        widths: tuple[int, int, int] = (64, 256, 256),
        bias_epochs: int = 3,
        bias_lr: float = 64.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape=image_shape, **kwargs)
        self.whitened = False

    def build_network(self) -> nn.Module:
        """Return the layers. The whitening layer has random weights until `whiten` sets them.

        Raises:
            SettingError: The images are smaller than 17x17 pixels.
        """
        channels, *size = self.hparams.image_shape
        require(
            min(size) >= 17,
            f"Airbench needs images of at least 17x17 pixels, these have {size[0]}x{size[1]}: use the MLP",
        )
        filters = 2 * channels * 2 * 2  # one per direction of a 2x2 patch, with both signs
        whiten = nn.Conv2d(channels, filters, 2)
        whiten.weight.requires_grad = False
        layers: dict[str, nn.Module] = {"whiten": whiten, "gelu": nn.GELU()}
        for number, (inputs, outputs) in enumerate(pairwise((filters, *self.hparams.widths)), start=1):
            layers[f"group{number}"] = build_group(inputs, outputs)
        return nn.Sequential(
            OrderedDict(
                **layers,
                pool=nn.AdaptiveMaxPool2d(1),  # 3x3 for images of the paper's size
                flatten=nn.Flatten(),
                linear=nn.Linear(self.hparams.widths[-1], self.hparams.num_classes, bias=False),
                scale=Scale(1 / 9),
            )
        )

    @property
    def whitening_layer(self) -> Any:
        """The first layer, a 2x2 convolution."""
        return self.network.whiten

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first layer's weights so that they whiten the 2x2 patches of images.

        The weights are the eigenvectors of the patches' covariance matrix, scaled to outputs of unit variance.

        Args:
            images: Images (N, C, H, W) of the training set, uint8 or float in [0, 1].
        """
        layer = self.whitening_layer
        patches = nn.functional.unfold(self.normalise(images), 2).transpose(1, 2).flatten(0, 1)  # (M, C * 2 * 2)
        variances, directions = torch.linalg.eigh((patches.T @ patches / len(patches)).double())
        # The eps is the paper's; the direction of the largest variance comes first.
        filters = (directions / (variances + 5e-4).sqrt()).T.flip(0).view(-1, *layer.weight.shape[1:])
        layer.weight.copy_(torch.cat((filters, -filters)))
        self.whitened = True

    def setup(self, stage: str) -> None:
        """Set up the network, and initialise the whitening layer from the first 5,000 training images.

        Raises:
            SettingError: There are no training images, and `whiten` has not been called.
        """
        super().setup(stage)
        datasets = getattr(getattr(self.trainer, "datamodule", None), "datasets", {})
        if stage == "fit" and "train" in datasets:
            count = min(self.num_images, len(datasets["train"]))
            self.whiten(datasets["train"][:count][0].to(self.device))
        if stage == "fit" and not self.whitened:
            raise SettingError("Airbench has seen no images yet: call its whiten(images) first, or use a data module")

    def group_parameters(self) -> list[dict[str, Any]]:
        """Return two parameter groups: all other parameters, and the BatchNorm biases with their learning rate."""
        h = self.hparams
        return group_batchnorm_biases(self, h.lr, h.weight_decay, h.bias_lr)

    def on_train_epoch_start(self) -> None:
        """Seed the epoch, and freeze the whitening bias after the first `bias_epochs` epochs."""
        super().on_train_epoch_start()
        trained = self.current_epoch < self.hparams.bias_epochs
        if self.trainer.world_size == 1:  # DistributedDataParallel would wait for its gradient
            self.whitening_layer.bias.requires_grad = trained

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Drop the gradient of the whitening bias once it is no longer trained."""
        if self.current_epoch >= self.hparams.bias_epochs:
            self.whitening_layer.bias.grad = None


def build_group(inputs: int, outputs: int) -> nn.Module:
    """Return two 3x3 convolutions, each with BatchNorm and GELU; the first is followed by 2x2 max pooling.

    The group maps (N, inputs, H, W) to (N, outputs, H // 2, W // 2).

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
    """
    layers = OrderedDict(
        conv1=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        pool=nn.MaxPool2d(2),
        norm1=nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4),  # 0.6 in the paper's convention
        gelu1=nn.GELU(),
        conv2=nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        norm2=nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4),
        gelu2=nn.GELU(),
    )
    for layer in layers.values():
        if isinstance(layer, nn.Conv2d):
            # The first output channels start as copies of the input channels, further ones at random.
            nn.init.dirac_(layer.weight[: layer.in_channels].data)
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.requires_grad = False
    return nn.Sequential(layers)
