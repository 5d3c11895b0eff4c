"""The classification networks of torchvision."""

import difflib
import inspect
from pathlib import Path
from typing import Any

import torchvision
from torch import Tensor, nn

from classifier.errors import require
from classifier.hparams import IMAGE_SHAPE, check_limit
from classifier.models.pretrained import PretrainedNetwork
from classifier.models.stem import SMALL_OR_MEDIUM
from classifier.models.torchvision_weights import read_torchvision_weights
from classifier.models.weight_files import read_state_dict


class TorchVision(PretrainedNetwork):
    """Any classification network of torchvision, such as resnet18, with the first and last layer adapted to the data.

    `name` is one of `torchvision.models.list_models(module=torchvision.models)`.
    """

    @classmethod
    def update_hparams(cls, hparams: dict[str, Any]) -> dict[str, Any]:
        """Return hyperparameters with the stem that networks had in versions without this argument.

        Raises:
            SettingError: The image shape is invalid.
        """
        shape, name = hparams.get("image_shape", (1, 28, 28)), hparams.get("name", "resnet18")
        check_limit("image_shape", shape, IMAGE_SHAPE)
        had_small_stem = min(shape[1:]) < SMALL_OR_MEDIUM and not list_size_options(name)
        return {"stem": "full_resolution" if had_small_stem else "standard", **hparams}

    def create_network(self) -> nn.Module:
        """Return torchvision's network with `num_classes` outputs, for images of this size with three channels.

        Raises:
            SettingError: torchvision has no such network.
        """
        name, (_, height, width) = self.hparams.name, self.hparams.image_shape
        options = {"aux_logits": False, "init_weights": True, "image_size": height, "input_size": (height, width)}
        options = {key: options[key] for key in options.keys() & inspect.signature(find_class(name)).parameters}
        return torchvision.models.get_model(name, num_classes=self.hparams.num_classes, **options)

    def takes_size(self) -> bool:
        """Return whether the network is built for one size of images, as a transformer is; its stem is then fixed."""
        return bool(list_size_options(self.hparams.name))

    def read_weights(self, weights: str) -> tuple[dict[str, Tensor], dict[str, tuple[float, ...]]]:
        """Return weights of torchvision with their normalisation, or those in a file, whose normalisation is not known.

        Raises:
            SettingError: There is no such file, and torchvision has no such weights.
            UserError: The weights cannot be read or downloaded.
        """
        normalisation: dict[str, tuple[float, ...]] = {}
        if Path(weights).is_file():
            state = read_state_dict(weights)
        else:
            state, normalisation = read_torchvision_weights(self.hparams.name, weights)
        if hasattr(self.network, "transform_input"):  # with weights, torchvision makes it scale images to [-1, 1]
            normalisation = dict.fromkeys(normalisation, (0.5, 0.5, 0.5))
        return {key: value for key, value in state.items() if not key.lower().startswith("aux")}, normalisation


def find_class(name: str) -> type:
    """Return the class of a network of torchvision.

    Raises:
        SettingError: torchvision has no such network.
    """
    names = torchvision.models.list_models(module=torchvision.models)
    close = difflib.get_close_matches(str(name), names) or names
    require(name in names, f"torchvision has no network {name}; did you mean {', '.join(close)}?")
    return inspect.signature(torchvision.models.get_model_builder(name)).return_annotation


def list_size_options(name: str) -> set[str]:
    """Return the arguments that set the size of the images that a network of torchvision is built for, or none."""
    return {"image_size", "input_size"} & inspect.signature(find_class(name)).parameters.keys()
