"""The classification networks of timm, PyTorch Image Models."""

import difflib
import functools
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from classifier.errors import UserError, first_line, require
from classifier.models.pretrained import PretrainedNetwork
from classifier.models.weight_files import check_connection, read_state_dict


class Timm(PretrainedNetwork):
    """Any classification network of timm, such as efficientnet_b0, with the first and last layer adapted to the data.

    `name` is one of `timm.list_models()`. `weights` can also be one of the tags in `timm.list_pretrained()`, such as
    a1_in1k for resnet18. With weights, `mean` and `std` default to those in timm's description of the network, also for
    a .pth file.
    """

    def create_network(self) -> nn.Module:
        """Return timm's network with `num_classes` outputs, for images of this shape.

        Raises:
            SettingError: timm is not installed, or has no such network.
        """
        timm, name = import_timm(), check_name(self.hparams.name)
        channels, num_classes = self.hparams.image_shape[0], self.hparams.num_classes
        return timm.create_model(name, num_classes=num_classes, in_chans=channels, **self._get_size())

    def takes_size(self) -> bool:
        """Return whether the network is built for one size of images, as a transformer is; its stem is then fixed."""
        return bool(get_description(check_name(self.hparams.name)).fixed_input_size)

    def read_weights(self, weights: str) -> tuple[dict[str, Tensor], dict[str, tuple[float, ...]]]:
        """Return weights of timm or those in a file, with the normalisation in timm's description of the network.

        Raises:
            SettingError: There is no such file, and timm has no such weights.
            UserError: The weights cannot be read or downloaded.
        """
        name = check_name(self.hparams.name)
        if Path(weights).is_file():
            state, description = read_state_dict(weights), get_description(name)
        else:
            name = self._find_weights(name, weights)
            state, description = download_weights(name, self._get_size()), get_description(name)
        return state, {"mean": tuple(description.mean), "std": tuple(description.std)}

    def _get_size(self) -> dict[str, Any]:
        """Return the argument that sets the size of the images, or none if the network takes images of any size."""
        return {"img_size": tuple(self.hparams.image_shape[1:])} if self.takes_size() else {}

    @staticmethod
    def _find_weights(name: str, weights: str) -> str:
        """Return the name of the network with the tag of its weights.

        Raises:
            SettingError: timm has no such weights.
        """
        tags = [entry.partition(".")[2] for entry in import_timm().list_pretrained(f"{name.partition('.')[0]}.*")]
        known = ["DEFAULT", *tags] if tags else []
        found = ", ".join(known) or "no pretrained weights for this network"
        require(weights in known, f"weights {weights}: there is no such file, and timm has {found}")
        return name if weights == "DEFAULT" else f"{name.partition('.')[0]}.{weights}"


def import_timm() -> ModuleType:
    """Return the package timm, which is imported only when it is used, because that takes a second.

    Raises:
        UserError: It is not installed.
    """
    if find_spec("timm") is None:
        raise UserError('Timm needs the package timm: pip install -e ".[timm]"')
    import timm

    return timm


def check_name(name: str) -> str:
    """Return the name of a network if timm has it; timm would take other names for folders or for addresses.

    Raises:
        SettingError: timm has no such network.
    """
    names = list_names()
    close = difflib.get_close_matches(str(name), names)
    hint = f"did you mean {', '.join(close)}?" if close else "timm.list_models() returns all names"
    require(name in names, f"timm has no network {name}; {hint}")
    return name


@functools.cache
def list_names() -> set[str]:
    """Return the names of all networks of timm, with and without the tags of their weights."""
    timm = import_timm()
    return {*timm.list_models(), *timm.list_pretrained()}


def get_description(name: str) -> Any:
    """Return timm's description of a network and its default weights, or of those that a tag in the name selects."""
    return import_timm().get_pretrained_cfg(name)


def download_weights(name: str, options: dict[str, Any]) -> dict[str, Tensor]:
    """Return the state_dict of timm's network with pretrained weights, from timm's cache or downloaded.

    Args:
        name: Name of the network, with or without the tag of its weights.
        options: Arguments for the network.

    Raises:
        UserError: The weights cannot be read or downloaded.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    timm, description = import_timm(), get_description(name)
    repository, overlay = description.hf_hub_id, {}
    address = f"{constants.ENDPOINT}/{repository}" if repository else description.url
    try:
        cached = try_to_load_from_cache(repository, "model.safetensors") if repository else None
        if isinstance(cached, str):
            overlay = {"file": cached}
        elif address:
            check_connection(address)
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options).state_dict()
    except Exception as error:
        raise UserError(
            f"the weights of {name} could not be downloaded from {address} ({first_line(error)}); download them there "
            "and set --model.weights to the .pth file"
        ) from error
