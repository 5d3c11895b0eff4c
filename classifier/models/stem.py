"""The first layers of a network: their number of channels, and the resolution at which the others work."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

Stem = Literal["auto", "standard", "full_resolution"]
# Networks for ImageNet reduce an image to 1/32 of its height and width: 32 pixels to one position.
SMALL = 32
# Below this size, `auto` once meant full resolution, and the choice is reported.
SMALL_OR_MEDIUM = 64


def order_stems(stem: Stem, side: int, is_fixed: bool) -> tuple[Stem, ...]:
    """Return the stems to try, the preferred one first.

    Args:
        stem: The setting.
        side: Height or width of the images in pixels, whichever is smaller.
        is_fixed: Whether the network has only the standard stem.
    """
    if stem != "auto":
        return (stem,)
    if is_fixed:
        return ("standard",)
    return ("full_resolution", "standard") if side <= SMALL else ("standard", "full_resolution")


def adapt_first_layers(network: nn.Module, channels: int, full_resolution: bool) -> None:
    """Adapt a network in place to the number of channels and the size of the images.

    Args:
        network: A network in evaluation mode.
        channels: Number of channels of the images, above 0.
        full_resolution: Whether to set the stride of the first strided layers, which would reduce an image to a quarter
            of its height and width, to 1.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.MaxPool2d))]
    first: Any = layers[0]
    side = 96  # the smallest side that all networks accept unchanged
    strided: list[Any] = []

    def collect(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        if inputs[0].shape[-1] > side / 4 and layer.stride not in (1, (1, 1)):
            strided.append(layer)

    if full_resolution:
        hooks = [layer.register_forward_pre_hook(collect) for layer in layers]
        with torch.no_grad():
            network(torch.zeros(1, first.in_channels, side, side))
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


def count_multiply_adds(network: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Return the number of multiply-adds that a network on the meta device takes per image.

    Args:
        network: The network in evaluation mode; nothing is computed on the meta device.
        image_shape: Channels, height and width of an image.
    """
    from torch.utils.flop_counter import FlopCounterMode  # importing it takes 0.2 s

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, *image_shape, device="meta"))
    return counter.get_total_flops() // 2  # it counts a multiplication and an addition as two
