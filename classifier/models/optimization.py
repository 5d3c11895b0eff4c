"""The optimizer and the learning rate schedule, as functions of plain arguments."""

import math
from typing import Any, Literal

from torch import nn

Schedule = Literal["constant", "linear", "cosine"]
# Hyperparameters that SGD takes under the same names.
SGD_ARGS = ("lr", "momentum", "weight_decay", "nesterov")


def scale_lr(step: int, num_steps: int, schedule: Schedule, warmup: float, start: float, end: float) -> float:
    """Return the fraction of the peak learning rate for a step.

    Args:
        step: Index of the step, from 0.
        num_steps: Number of steps of the whole run.
        schedule: What follows the warm-up: no change, or a linear or cosine decay until the last step.
        warmup: Fraction of all steps in which the learning rate rises linearly; from 0 to below 1.
        start: Fraction of the peak learning rate at which the warm-up starts.
        end: Fraction of the peak learning rate at which the decay ends.
    """
    warmup_steps = int(warmup * num_steps)
    if step < warmup_steps:
        return start + (1 - start) * step / warmup_steps
    progress = min((step - warmup_steps) / (num_steps - warmup_steps), 1.0)
    decay = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[schedule]
    return end + (1 - end) * decay


def group_batchnorm_biases(module: nn.Module, lr: float, weight_decay: float, factor: float) -> list[dict[str, Any]]:
    """Put BatchNorm biases in their own group: higher learning rate, same effective weight decay.

    Args:
        module: The network.
        lr: Learning rate of all other parameters.
        weight_decay: Weight decay of all other parameters.
        factor: How many times higher the learning rate of the biases is.

    Returns:
        Two parameter groups for an optimizer: all other parameters, and the biases.
    """
    biases = [layer.bias for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    others = [parameter for parameter in module.parameters() if all(parameter is not bias for bias in biases)]
    return [{"params": others}, {"params": biases, "lr": lr * factor, "weight_decay": weight_decay / factor}]


def override_optimizer_state(
    checkpoint: dict[str, Any], hparams: dict[str, Any], param_groups: list[dict[str, Any]]
) -> None:
    """Let the hyperparameters given now win over those of the optimizer stored in a checkpoint.

    Args:
        checkpoint: Contents of the checkpoint; its optimizer and schedule states are changed in place.
        hparams: Hyperparameters of the network that training continues with.
        param_groups: Parameter groups of that network; one may have a learning rate and a weight decay of its own.
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
