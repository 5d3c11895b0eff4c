"""Check that data and weights match a network."""

from typing import Any

from torch import Tensor, nn

from classifier.errors import SettingError, UserError
from classifier.hparams import to_builtin_types

ARGS_FROM_DATA = ("image_shape", "num_classes")  # a network must have the values of its data
DEFAULTS_FROM_DATA = ("mean", "std", "class_names")  # a network without values of its own takes those of its data


def check_data(module: Any, data: Any) -> None:
    """Check that a data module and a network have the same image shape, number of classes and class names.

    Args:
        module: The ImageClassifier.
        data: An ImageDataModule, or any data module with `image_shape`, `num_classes` and `class_names`.

    Raises:
        SettingError: They differ. The message shows the constructor call that matches the data.
    """
    own, given = ([getattr(part, name) for name in ARGS_FROM_DATA] for part in (module.hparams, data))
    model_name, data_name = type(module).__name__, type(data).__name__
    if to_builtin_types(own) != to_builtin_types(given):
        raise SettingError(
            f"{model_name} takes images {own[0]} of {own[1]} classes, {data_name} has images {tuple(given[0])} of "
            f"{given[1]} classes: make it {model_name}(image_shape={tuple(given[0])}, num_classes={given[1]})"
        )
    if module.hparams.class_names not in (None, tuple(data.class_names)):
        raise SettingError(
            f"{model_name} was trained on the classes {', '.join(module.hparams.class_names)}; "
            f"{data_name} has {', '.join(data.class_names)}"
        )


def check_weights(module: nn.Module, state_dict: dict[str, Tensor]) -> None:
    """Check that a state_dict matches a module in the names and shapes of all tensors.

    Raises:
        UserError: A name or a shape differs. The message names the first difference.
    """
    stored, own = ({name: tuple(value.shape) for name, value in d.items()} for d in (state_dict, module.state_dict()))
    for name in sorted(stored | own):
        if stored.get(name) != own.get(name):
            raise UserError(
                f"the checkpoint does not fit this {type(module).__name__}: {name} has the shape {stored.get(name)} "
                f"in the checkpoint and {own.get(name)} in the network"
            )
