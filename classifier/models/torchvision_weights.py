"""Read pretrained weights for torchvision's networks."""

import re
import zipfile
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from classifier.checkpoint_format import ANY, WEIGHT, check_value, load_tensors
from classifier.errors import UserError, first_line, require
from classifier.files import read_zip


def read_weights(name: str, weights: str) -> tuple[dict[str, Tensor], dict[str, tuple[float, ...]]]:
    """Return pretrained weights, and the normalisation that they were trained with.

    Args:
        name: torchvision's name of the network.
        weights: A .pth file, or the name of torchvision's weights for this network.

    Returns:
        The state_dict, and a dict with `mean` and `std` of pixels in [0, 1], which is empty for a file.

    Raises:
        SettingError: There is no such file, and torchvision has no such weights.
        UserError: The weights cannot be read or downloaded.
    """
    if Path(weights).is_file():
        try:
            content = read_zip(weights) if zipfile.is_zipfile(weights) else weights  # or PyTorch's older format
            state = load_tensors(content)
            check_value(state, {ANY: WEIGHT}, "its content")
            return dict(state), {}
        except Exception as error:
            raise UserError(
                f"weights {weights}: no state_dict can be read from this file ({first_line(error)})"
            ) from error
    entries = torchvision.models.get_model_weights(name).__members__
    require(weights in entries, f"weights {weights}: there is no such file, and torchvision has {', '.join(entries)}")
    entry = entries[weights]
    try:
        state = entry.get_state_dict(map_location="cpu", check_hash=True, weights_only=True)
    except Exception as error:
        file = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
        problem = f"{'is damaged' if file.is_file() else 'could not be downloaded'} ({first_line(error)})"
        raise UserError(f"weights {weights}: {file} {problem}; save {entry.url} under that name") from error
    # densenet's layers had other names when its weights were saved.
    state = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key): value for key, value in state.items()}
    transforms = entry.transforms()
    return state, {"mean": transforms.mean, "std": transforms.std}


def crop_kernels(kernels: Tensor, shape: torch.Size) -> Tensor:
    """Crop convolution kernels to their centre and, if `shape` has one input channel, sum them over the channels.

    Args:
        kernels: Weights (out, in, height, width).
        shape: Required shape (out, in, height, width); height and width are at most those of the kernels.
    """
    if shape[1] == 1:
        kernels = kernels.sum(1, keepdim=True)
    top, left = ((have - need) // 2 for have, need in zip(kernels.shape[2:], shape[2:], strict=True))
    return kernels[:, :, top : top + shape[2], left : left + shape[3]]
