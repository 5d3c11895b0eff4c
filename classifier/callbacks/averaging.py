"""Averages of the weights, which score better than the weights themselves."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class Lookahead(WeightAveraging):
    """Sets the network back to a moving average of its weights every few steps, and ends with that average.

    The average follows the network early in training and lags behind it later: the weight of the old average grows
    with the third power of the steps done, up to `decay` ** `every`. After "Lookahead Optimizer: k steps forward, 1
    step back" (Zhang et al., 2019), with the numbers of "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan,
    2024).

    Args:
        every: Number of optimizer steps between two updates of the average, above 0.
        decay: Decay of the average per step, at the end of training; from 0 to 1.
        device: Device that the average is kept on.
    """

    def __init__(self, every: int = 5, decay: float = 0.95, device: torch.device | None = None) -> None:
        super().__init__(device, avg_fn=self.mix)
        self.every, self.decay, self.average_weight, self.num_steps = every, decay, 0.0, 1.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find out how many steps there will be, and start the average from the initial weights."""
        self.num_steps = trainer.estimated_stepping_batches
        # Lightning copied the network before its `setup` hook, in which a network may set its weights.
        if self._average_model.n_averaged == 0:  # not resumed
            self._average_model.update_parameters(pl_module)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Return whether the average is updated after the step of index `step_idx`."""
        return step_idx is not None and (step_idx + 1) % self.every == 0

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        """Compute the weight of the old average, and update the average if it is time."""
        self.average_weight = self.decay**self.every * (trainer.global_step / self.num_steps) ** 3
        super().on_train_batch_end(trainer, *args)

    def mix(self, average: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        """Set a parameter of the network to the new average, in place, and return it."""
        if current.is_floating_point():
            current.lerp_(average, self.average_weight)
        return current
