"""Check the parts of a checkpoint that Lightning reads, before Lightning does: loops, callbacks and the optimizer."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim.lr_scheduler import LRScheduler

from classifier.checkpoint_format import ANY, COUNT, FLOATS, NUMBER, PLAIN, check_value, is_stored_tensor
from classifier.errors import UserError

SCHEDULE = {"last_epoch!": COUNT, "base_lrs!": [NUMBER], ANY: PLAIN}
LOOPS = {"fit": "fit_loop", "validate": "validate_loop", "test": "test_loop", "predict": "predict_loop"}


def check_trainer_state(checkpoint: dict[str, Any], trainer: L.Trainer) -> None:
    """Check that a Trainer can restore its state from a checkpoint.

    The Trainer's own state, before it is restored, is the description of what its loops and callbacks need.

    Raises:
        UserError: A part is missing, or has other keys or types.
    """
    command = str(trainer.state.fn.value) if trainer.state.fn else "fit"
    if command == "fit":
        for key in ("loops", "optimizer_states", "lr_schedulers"):
            if not checkpoint.get(key) and not (key == "lr_schedulers" and key in checkpoint):
                raise UserError(f"the checkpoint has no {key}: its training cannot be resumed")
    name = LOOPS.get(command, "fit_loop")
    if "loops" in checkpoint:
        check_state(checkpoint["loops"].get(name), getattr(trainer, name).state_dict(), f"loops.{name}")
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        stored = checkpoint.get("callbacks", {}).get(callback.state_key)
        if stored and type(callback).__module__.startswith("lightning."):  # others check their state themselves
            own = {key: value for key, value in callback.state_dict().items() if not isinstance(value, dict)}
            check_state({key: stored[key] for key in own if key in stored}, own, f"callbacks.{callback.state_key}")


def check_state(stored: Any, own: Any, name: str) -> None:
    """Check that a stored state has the keys and types of the state that will be replaced by it.

    Args:
        stored: The stored state.
        own: The current state: a number, a tensor, or a dict of states; other types are not checked.
        name: Name of the state in the checkpoint, for the error message.

    Raises:
        UserError: They differ. The message names the first difference.
    """
    if isinstance(own, dict):
        own = {key: value for key, value in own.items() if not isinstance(value, list)}  # of loaders, if there are any
        if not isinstance(stored, dict) or not own.keys() <= stored.keys():
            raise UserError(f"the checkpoint's {name} is not a table with the keys {', '.join(own)}")
        for key, value in own.items():
            check_state(stored[key], value, f"{name}.{key}")
    elif isinstance(own, torch.Tensor) and not fits_parameter(stored, own):
        raise UserError(f"the checkpoint's {name} is not a tensor with the shape {tuple(own.shape)}")
    elif isinstance(own, bool) and not isinstance(stored, bool):
        raise UserError(f"the checkpoint's {name} is not true or false")
    elif type(own) is int and not (type(stored) is int and 0 <= stored < 2**53):
        raise UserError(f"the checkpoint's {name} is not a count")


def check_optimizer_states(
    checkpoint: dict[str, Any], settings: dict[str, Any], param_groups: list[dict[str, Any]]
) -> None:
    """Check that the optimizer states of a checkpoint match the parameters of a network.

    Args:
        checkpoint: Contents of the checkpoint.
        settings: Arguments of SGD, by name.
        param_groups: Parameter groups of the network, as an optimizer takes them.

    Raises:
        UserError: The number or the shape of the parameters differs, or a setting has another type.
    """
    own = torch.optim.SGD([dict(group) for group in param_groups], **settings).state_dict()["param_groups"]
    parameters = [parameter for group in param_groups for parameter in group["params"]]
    for state in checkpoint.get("optimizer_states", ()):
        stored = state["param_groups"]
        if [group["params"] for group in stored] != [group["params"] for group in own]:
            raise UserError("the optimizer state in the checkpoint is that of other parameters")
        for group, own_group in zip(stored, own, strict=True):
            other_optimizer = group.keys() - own_group.keys() - {"initial_lr"}
            if own_group.keys() - group.keys() and not other_optimizer:
                raise UserError("the optimizer state in the checkpoint lacks settings of SGD")
            for name, value in own_group.items():
                if name in group and not has_type_of(group[name], value):
                    raise UserError(f"the optimizer state in the checkpoint has a {name} of another type")
        for index, tensors in state["state"].items():
            if index not in range(len(parameters)) or not isinstance(tensors, dict):
                raise UserError("the optimizer state in the checkpoint has parameters that the network does not have")
            for name, tensor in tensors.items():
                is_number = name == "momentum_buffer" and not (tensor is None or isinstance(tensor, torch.Tensor))
                if is_number or not fits_parameter(tensor, parameters[index]):
                    raise UserError(f"the optimizer state in the checkpoint has {name} of another shape or type")


def check_scheduler_states(checkpoint: dict[str, Any], has_schedule: bool) -> None:
    """Check that the states of the learning rate schedules can be restored.

    Args:
        checkpoint: Contents of the checkpoint.
        has_schedule: Whether the network has a schedule, which is a LambdaLR.

    Raises:
        UserError: A state lacks a key, or has one that would replace a method of the schedule.
    """
    for state in checkpoint.get("lr_schedulers", ()):
        wrong = [key for key in state if key == "optimizer" or callable(getattr(LRScheduler, key, None))]
        check_value(state, SCHEDULE, "lr_schedulers")
        if wrong or (has_schedule and not isinstance(state.get("lr_lambdas"), list)):
            raise UserError("the state of the learning rate schedule in the checkpoint has wrong keys")


def has_type_of(stored: Any, own: Any) -> bool:
    """Return whether a setting of an optimizer can replace another one: a number, or a flag that may be None."""
    if own is None or isinstance(own, bool):
        return stored is None or isinstance(stored, bool)
    return not isinstance(own, float) or type(stored) in (int, float)


def fits_parameter(tensor: Any, parameter: torch.Tensor) -> bool:
    """Return whether a value in the state of an optimizer is a number, or a tensor with the shape of its parameter."""
    if tensor is None or isinstance(tensor, (int, float)):
        return True
    return is_stored_tensor(tensor) and tensor.dtype in FLOATS and tensor.shape in ((), (1,), parameter.shape)
