"""Read pretrained weights of torchvision's networks."""

import re
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from classifier.errors import UserError, first_line, require
from classifier.models.weight_files import check_connection


def read_torchvision_weights(name: str, weights: str) -> tuple[dict[str, Tensor], dict[str, tuple[float, ...]]]:
    """Return weights of torchvision, from PyTorch's cache or downloaded, and the normalisation they were trained with.

    Args:
        name: torchvision's name of the network.
        weights: The name of torchvision's weights for this network.

    Returns:
        The state_dict, and a dict with `mean` and `std` of pixels in [0, 1].

    Raises:
        SettingError: torchvision has no such weights.
        UserError: The weights cannot be read or downloaded.
    """
    entries = torchvision.models.get_model_weights(name).__members__
    require(weights in entries, f"weights {weights}: there is no such file, and torchvision has {', '.join(entries)}")
    entry = entries[weights]
    file = Path(torch.hub.get_dir(), "checkpoints", Path(entry.url).name)
    try:
        if not file.is_file():
            check_connection(entry.url)
        state = entry.get_state_dict(map_location="cpu", check_hash=True, weights_only=True)
    except Exception as error:
        problem = f"{'is damaged' if file.is_file() else 'could not be downloaded'} ({first_line(error)})"
        raise UserError(f"weights {weights}: {file} {problem}; save {entry.url} under that name") from error
    # densenet's layers had other names when its weights were saved.
    state = {re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key): value for key, value in state.items()}
    transforms = entry.transforms()
    return state, {"mean": transforms.mean, "std": transforms.std}
