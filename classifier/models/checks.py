"""Check that data and weights match a network."""

from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn

from classifier.checkpoint_format import FLOATS
from classifier.class_paths import PACKAGE
from classifier.errors import SettingError, UserError, first_line
from classifier.hparams import to_builtin_types

ARGS_FROM_DATA = ("image_shape", "num_classes")  # a network must have the values of its data
MAX_NAMES = 20  # classes of which all names are shown in a message
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
    known, names = module.hparams.class_names, tuple(data.class_names)
    if known in (None, names):
        return
    if len(names) <= MAX_NAMES:
        difference = f"the classes {', '.join(known)}; {data_name} has {', '.join(names)}"
    else:
        pairs = enumerate(zip_longest(known, names, fillvalue="none"))
        label, (first, second) = next((label, pair) for label, pair in pairs if pair[0] != pair[1])
        difference = f"other classes than those of {data_name}: class {label} is {first} and not {second}"
    raise SettingError(f"{model_name} was trained on {difference}")


def check_weights(module: nn.Module, state_dict: dict[str, Tensor]) -> None:
    """Check that a state_dict matches a module in the names, shapes and kinds of all tensors.

    Floating-point weights of any precision match each other, because `--trainer.precision` changes it.

    Raises:
        UserError: A name, a shape or a kind differs. The message names the first difference.
    """
    own = module.state_dict()
    for name in sorted(state_dict | own):
        shapes, kinds = zip(*(describe_tensor(weights.get(name)) for weights in (state_dict, own)), strict=True)
        for what, (stored, expected) in (("the shape", shapes), ("the type", kinds)):
            if stored != expected:
                raise UserError(
                    f"the checkpoint does not fit this {type(module).__name__}: {name} has {what} {stored} in the "
                    f"checkpoint and {expected} in the network"
                )


def describe_tensor(tensor: Tensor | None) -> tuple[tuple[int, ...] | None, object]:
    """Return the shape and the kind of a tensor: "float" in any precision, or its dtype; None twice for no tensor."""
    if tensor is None:
        return None, None
    return tuple(tensor.shape), "float" if tensor.dtype in FLOATS else tensor.dtype


def check_stored_network(model_class: type, hparams: dict[str, Any], state_dict: dict[str, Tensor]) -> None:
    """Check that hyperparameters describe the network whose weights are stored with them, without allocating memory.

    Otherwise, a checkpoint of a few bytes could describe a network that no memory can hold.

    Args:
        model_class: Class of the network, a subclass of ImageClassifier.
        hparams: Arguments of its constructor.
        state_dict: The stored weights.

    Raises:
        UserError: The class does not accept these arguments, or its weights have other shapes.
    """
    try:
        with torch.device("meta"):
            module = model_class(**hparams)
            module.configure_model()
    except NotImplementedError:  # a network of the user that computes with its weights in its constructor
        return
    except UserError as error:
        raise type(error)(f"the settings in the checkpoint do not fit {model_class.__name__}: {error}") from error
    except (TypeError, ValueError, RuntimeError, ArithmeticError, AttributeError, LookupError) as error:
        if isinstance(error, RuntimeError) and model_class.__module__.partition(".")[0] != PACKAGE:
            return  # also of the user, for example by `item`
        raise UserError(
            f"the settings in the checkpoint do not fit {model_class.__name__}: {first_line(error)}"
        ) from error
    check_weights(module, state_dict)
    own = {id(tensor): tensor.nbytes for tensor in module.state_dict(keep_vars=True).values()}
    stored = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in state_dict.values()}
    if sum(own.values()) > 4 * sum(stored.values()):  # a float16 of the file can be a float64 of the network
        raise UserError("the weights in the checkpoint share memory, so that they are larger than the file")
