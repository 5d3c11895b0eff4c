"""Read pretrained weights, and fit them to a network with other classes, channels or first kernels."""

import contextlib
import urllib.error
import urllib.request
import zipfile

import torch
from torch import Tensor, nn

from classifier.checkpoint_format import ANY, WEIGHT, check_value, load_tensors
from classifier.errors import UserError, first_line, require
from classifier.files import read_zip

CONNECTION_TIMEOUT = 10  # seconds


def read_state_dict(path: str) -> dict[str, Tensor]:
    """Return the state_dict in a .pth file. No code is run.

    Raises:
        UserError: The file is damaged, or contains something else.
    """
    try:
        state = load_tensors(read_zip(path) if zipfile.is_zipfile(path) else path)  # or PyTorch's older format
        check_value(state, {ANY: WEIGHT}, "its content")
    except Exception as error:
        raise UserError(f"weights {path}: no state_dict can be read from this file ({first_line(error)})") from error
    return dict(state)


def check_connection(url: str) -> None:
    """Check that a server answers. Without this check, a download can wait for minutes if the computer is offline.

    Raises:
        OSError: It does not answer within 10 seconds.
    """
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 an https address of torchvision or timm
    with contextlib.suppress(urllib.error.HTTPError):  # also an answer
        urllib.request.urlopen(request, timeout=CONNECTION_TIMEOUT).close()  # noqa: S310


def fit_weights(network: nn.Module, loaded: dict[str, Tensor], num_classes: int, misfit: str) -> None:
    """Load weights into a network, except those of layers that differ because of the data.

    The first kernels are cropped and summed as `crop_kernels` describes; if their number of channels still differs, the
    network's own values are kept. If the number of classes differs, the last layer is set to 0: the large random values
    with which some networks initialise a layer of few outputs would change the other layers far from their good values.

    Args:
        network: The network, for `num_classes` classes.
        loaded: The state_dict.
        num_classes: Number of classes, at least 2.
        misfit: Beginning of the error message.

    Raises:
        SettingError: The weights are those of another network.
    """
    own = network.state_dict()
    # Files of older versions do not count batches.
    odd = [key for key in own.keys() ^ loaded.keys() if not key.endswith("num_batches_tracked")]
    require(not odd, f"{misfit}: {min(odd, default='')} is in only one of the two")
    first = next(key for key, tensor in own.items() if tensor.dim() == 4)
    for key, value in loaded.items():
        shape = own[key].shape
        if key == first and value.dim() == 4:
            value = crop_kernels(value, shape)
        if value.shape == shape:
            own[key] = value
        elif key != first:
            is_last = shape[:1] == (num_classes,)
            require(is_last, f"{misfit}: {key} has the shape {tuple(value.shape)}, not {tuple(shape)}")
            own[key] = torch.zeros_like(own[key])
    network.load_state_dict(own)


def crop_kernels(kernels: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Crop convolution kernels to their centre and, if `shape` has one input channel, sum them over the channels.

    Args:
        kernels: Weights (out, in, height, width).
        shape: Required shape (out, in, height, width); height and width are at most those of the kernels.
    """
    if shape[1] == 1:
        kernels = kernels.sum(1, keepdim=True)
    top, left = ((have - need) // 2 for have, need in zip(kernels.shape[2:], shape[2:], strict=True))
    return kernels[:, :, top : top + shape[2], left : left + shape[3]]
