"""State of an unfinished epoch: what a checkpoint needs in order to continue within the epoch exactly."""

from typing import Any

import torch
from torch import distributed

from classifier.errors import SettingError, UserError, first_line
from classifier.models.metrics import ClassificationMetrics


def collect_state(module: Any) -> list[dict[str, Any]]:
    """Return the state of the unfinished epoch in every process, in the order of their ranks.

    Every process has to call this. The state consists of the training metrics so far, the states of the random number
    generators, and, between two optimizer steps, the accumulated gradients.

    Args:
        module: The ImageClassifier in training.
    """
    metrics: ClassificationMetrics = module.train_metrics
    trainer = module.trainer
    is_between_steps = (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches != 0
    state = {
        "train_metrics": metrics.get_state(),
        "random": [generator.get_state() for generator in list_generators(module.device)],
        "gradients": {
            name: parameter.grad.cpu()
            for name, parameter in module.named_parameters()
            if is_between_steps and parameter.grad is not None
        },
    }
    if not (distributed.is_available() and distributed.is_initialized()):
        return [state]
    states: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(states, state)
    return states


def restore_state(module: Any, states: list[dict[str, Any]]) -> None:
    """Restore the state of an unfinished epoch in this process.

    Args:
        module: The ImageClassifier in training.
        states: The result of `collect_state`.

    Raises:
        SettingError: The number of processes has changed.
        UserError: The state does not fit the network.
    """
    processes, rank = module.trainer.world_size, module.global_rank
    if len(states) != processes:
        raise SettingError(
            f"the checkpoint was written within an epoch by {len(states)} processes, and cannot be continued by "
            f"{processes}: start {len(states)} processes, or use a checkpoint from the end of an epoch"
        )
    state = states[rank]
    try:
        module.train_metrics.set_state(state["train_metrics"])
        for name, gradient in state["gradients"].items():
            module.get_parameter(name).grad = gradient.to(module.device)
        for generator, value in zip(list_generators(module.device), state["random"], strict=False):
            generator.set_state(value.cpu())
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        message = f"the state of the unfinished epoch in the checkpoint does not fit: {first_line(error)}"
        raise UserError(message) from error


def list_generators(device: torch.device) -> list[torch.Generator]:
    """Return PyTorch's default random number generators of the CPU and, if it is another one, of a device."""
    generators = [torch.default_generator]
    if device.type == "cuda":
        generators.append(torch.cuda.default_generators[device.index or 0])
    return generators
