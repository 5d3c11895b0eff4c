"""The network of "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan, 2024, arXiv 2404.00498)."""

from collections import OrderedDict
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from classifier.base import ImageClassifier
from classifier.errors import SettingError, require


class Scale(nn.Module):
    """Multiplies by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, values: Tensor) -> Tensor:
        """Return the values, of any shape, times the factor."""
        return values * self.factor


class Airbench(ImageClassifier):
    """Convolutional network that learns fast: whitened images, three groups of two convolutions, one linear layer.

    Layers, and how they start, are those of "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan, 2024); by
    default 1,972,792 parameters. The recipe cifar10_fast trains it as the paper does.

    Args:
        image_shape: Channels, height and width of an image in pixels; at least 17 x 17.
        widths: Channels of the three groups, each above 0.
        bias_epochs: Number of epochs in which the bias of the whitening is trained, its weights never are.
        bias_lr: Learning rate of BatchNorm's biases, in multiples of `lr`; above 0.
        **options: Further arguments of ImageClassifier.
    """

    num_images = 5000  # that the whitening is learnt from, as in the paper

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        widths: tuple[int, int, int] = (64, 256, 256),
        bias_epochs: int = 3,
        bias_lr: float = 64.0,
        **options: Any,
    ) -> None:
        require(len(widths) == 3 and min(widths) > 0, f"widths are three numbers above 0, not {widths}")
        require(bias_epochs >= 0, f"bias_epochs must be at least 0, not {bias_epochs}")
        require(bias_lr > 0, f"bias_lr must be above 0, not {bias_lr}")
        super().__init__(image_shape=image_shape, **options)
        self.whitened = False

    def build_network(self) -> nn.Module:
        """Return the layers, whose whitening has random weights until images are at hand."""
        channels, *size = self.hparams.image_shape
        require(
            min(size) >= 17,
            f"Airbench needs images of at least 17x17 pixels, these have {size[0]}x{size[1]}: use the MLP",
        )
        filters = 2 * channels * 2 * 2  # a patch has that many directions, and each of them two signs
        whiten = nn.Conv2d(channels, filters, 2)
        whiten.weight.requires_grad = False
        layers: dict[str, nn.Module] = {"whiten": whiten, "gelu": nn.GELU()}
        for number, (inputs, outputs) in enumerate(pairwise((filters, *self.hparams.widths)), start=1):
            layers[f"group{number}"] = build_group(inputs, outputs)
        return nn.Sequential(
            OrderedDict(
                **layers,
                pool=nn.AdaptiveMaxPool2d(1),  # of 3x3 on images of the paper's size
                flatten=nn.Flatten(),
                linear=nn.Linear(self.hparams.widths[-1], self.hparams.num_classes, bias=False),
                scale=Scale(1 / 9),
            )
        )

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the weights of the first layer to the eigenvectors of 2x2 patches, scaled to a variance of one.

        Args:
            images: Images (N, C, H, W) of the training set, uint8 or float in [0, 1].
        """
        layer = self.network.whiten
        patches = nn.functional.unfold(self.normalise(images), 2).transpose(1, 2).flatten(0, 1)  # (M, C * 2 * 2)
        variances, directions = torch.linalg.eigh((patches.T @ patches / len(patches)).double())
        # The paper's eps; the largest variance comes first.
        filters = (directions / (variances + 5e-4).sqrt()).T.flip(0).view(-1, *layer.weight.shape[1:])
        layer.weight.copy_(torch.cat((filters, -filters)))
        self.whitened = True

    def setup(self, stage: str) -> None:
        """Do what the base does and, before training, whiten by the first images of the data module.

        Raises:
            ValueError: When there are none.
        """
        super().setup(stage)
        datasets = getattr(self.trainer.datamodule, "datasets", {})
        if stage == "fit" and "train" in datasets:
            count = min(self.num_images, len(datasets["train"]))
            self.whiten(datasets["train"].__getitems__(list(range(count)))[0].to(self.device))
        if stage == "fit" and not self.whitened:
            raise SettingError("Airbench has seen no images yet: call its whiten(images) before, or use a data module")

    def group_parameters(self) -> list[dict[str, Any]]:
        """Return the biases of BatchNorm apart, which learn faster and decay as slowly as all else."""
        h = self.hparams
        norms = [layer.bias for layer in self.modules() if isinstance(layer, nn.BatchNorm2d)]
        others = [parameter for parameter in self.parameters() if all(parameter is not bias for bias in norms)]
        apart = {"lr": h.lr * h.bias_lr, "weight_decay": h.weight_decay / h.bias_lr}
        return [{"params": others}, {"params": norms, **apart}]

    def on_train_epoch_start(self) -> None:
        """Do what the base does, and train the bias of the whitening only in the first epochs."""
        super().on_train_epoch_start()
        trained = self.current_epoch < self.hparams.bias_epochs
        if self.trainer.world_size == 1:  # DistributedDataParallel would wait for its gradient
            self.network.whiten.bias.requires_grad = trained

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Forget the gradient of a bias that is no longer trained."""
        if self.current_epoch >= self.hparams.bias_epochs:
            self.network.whiten.bias.grad = None


def build_group(inputs: int, outputs: int) -> nn.Module:
    """Return two convolutions, of which the first halves the image: (N, inputs, H, W) to (N, outputs, H/2, W/2)."""
    layers = OrderedDict(
        conv1=nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        pool=nn.MaxPool2d(2),
        norm1=nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4),  # 0.6 as the paper counts it
        gelu1=nn.GELU(),
        conv2=nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        norm2=nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4),
        gelu2=nn.GELU(),
    )
    for layer in layers.values():
        if isinstance(layer, nn.Conv2d):
            # The first channels out are the channels in; further ones start at random.
            nn.init.dirac_(layer.weight[: layer.in_channels].data)
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.requires_grad = False
    return nn.Sequential(layers)
