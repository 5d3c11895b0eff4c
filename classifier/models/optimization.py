"""The optimizer and the learning rate schedule, as functions of plain arguments."""

import math
from typing import Any, Literal

from torch import nn

Schedule = Literal["constant", "linear", "cosine"]
# Hyperparameters that SGD takes under the same names.
SGD_ARGS = ("lr", "momentum", "weight_decay", "nesterov")


def get_lr_factor(step: int, num_steps: int, schedule: Schedule, warmup: float, start: float, end: float) -> float:
    """Return the learning rate of a step as a fraction of the peak learning rate, from 0 to 1.

    Args:
        step: Index of the step, from 0.
        num_steps: Number of steps of the run, above 0.
        schedule: Schedule after the warm-up: constant, or a linear or cosine decay until the last step.
        warmup: Fraction of all steps during which the learning rate rises linearly; from 0 to below 1.
        start: Value at the start of the warm-up, from 0 to 1.
        end: Value at the end of a linear or cosine decay, from 0 to 1.
    """
    warmup_steps = int(warmup * num_steps)
    if step < warmup_steps:
        return start + (1 - start) * step / warmup_steps
    progress = min((step - warmup_steps) / (num_steps - warmup_steps), 1.0)
    decay = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[schedule]
    return end + (1 - end) * decay


def group_batchnorm_biases(module: nn.Module, lr: float, weight_decay: float, factor: float) -> list[dict[str, Any]]:
    """Put the BatchNorm biases in a group with a higher learning rate and the same effective weight decay.

    Args:
        module: The network.
        lr: Learning rate of all other parameters, above 0.
        weight_decay: Weight decay of all other parameters, at least 0.
        factor: Learning rate of the biases as a multiple of `lr`, above 0.

    Returns:
        Two parameter groups for an optimizer: all other parameters, and the biases.
    """
    biases = [layer.bias for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    others = [parameter for parameter in module.parameters() if all(parameter is not bias for bias in biases)]
    return [{"params": others}, {"params": biases, "lr": lr * factor, "weight_decay": weight_decay / factor}]


def override_optimizer_state(
    checkpoint: dict[str, Any], hparams: dict[str, Any], param_groups: list[dict[str, Any]]
) -> None:
    """Replace SGD hyperparameters in a checkpoint's optimizer state by current ones that differ.

    Args:
        checkpoint: Contents of the checkpoint; the states of its optimizer and schedule are changed in place.
        hparams: Hyperparameters of the network that is trained further.
        param_groups: Parameter groups of that network; a group can have its own learning rate and weight decay.
    """
    stored = checkpoint["hyper_parameters"]
    changed = {name: hparams[name] for name in SGD_ARGS if hparams[name] != stored.get(name)}
    for state in checkpoint.get("optimizer_states", ()):
        for group, own in zip(state["param_groups"], param_groups, strict=True):
            new = {name: own.get(name, value) for name, value in changed.items()}
            if "lr" in new and "initial_lr" in group:  # keep the position in the schedule
                new["initial_lr"], new["lr"] = new["lr"], new["lr"] * group["lr"] / group["initial_lr"]
            group.update(new)
    if "lr" in changed:
        for state in checkpoint.get("lr_schedulers", ()):
            state["base_lrs"] = [group.get("lr", hparams["lr"]) for group in param_groups]
