"""The training loss within an epoch: a mean over the last optimizer steps, for TensorBoard and the progress bar."""

import math
from typing import Any

import lightning as L
import torch

TAG = "loss/train_running"


class RunningLoss:
    """The mean training loss of every `log_every_n_steps` optimizer steps, over the images of all processes.

    A mean may extend over the end of an epoch, so that every point stands for the same number of steps. Nothing is
    computed between two points, except what the metrics of the epoch need.
    """

    def __init__(self) -> None:
        self.interval = 0  # in optimizer steps; 0 for no points
        self.next_step = math.inf  # number of optimizer steps at the next point
        self.points: list[tuple[int, float]] = []  # optimizer steps and loss
        self.loss_sum, self.num_images = 0.0, 0.0  # of earlier epochs, since the last point

    def state_dict(self) -> dict[str, Any]:
        """Return all points, and the sums of an interval that continues in the next epoch, for the checkpoint."""
        steps, losses = ([point[i] for point in self.points] for i in range(2))
        return {"steps": steps, "losses": losses, "loss_sum": self.loss_sum, "num_images": self.num_images}

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Restore the state in a checkpoint; an older one has none."""
        state = read_state(checkpoint)
        self.points = list_points(checkpoint)
        self.loss_sum, self.num_images = state.get("loss_sum", 0.0), state.get("num_images", 0.0)

    def start(self, trainer: L.Trainer) -> None:
        """Find the step of the next point."""
        self.interval = trainer.log_every_n_steps
        self._find_next_step(trainer.global_step)

    def _find_next_step(self, steps: int) -> None:
        """Find the step of the point after a number of steps; a network of the user's own can take several at once."""
        self.next_step = (steps // self.interval + 1) * self.interval if self.interval else math.inf

    def add_point(self, trainer: L.Trainer, module: L.LightningModule) -> tuple[int, float]:
        """Add the point of the current step, and return the step and the mean loss. Every process calls this."""
        self.collect(trainer, module)
        # A network of the user's own may not add its batches to the metrics; the end of the epoch reports that.
        loss = self.loss_sum / self.num_images if self.num_images else math.nan
        self.points.append((trainer.global_step, loss))
        self.loss_sum = self.num_images = 0.0
        self._find_next_step(trainer.global_step)
        return self.points[-1]

    def collect(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Add the losses of all processes since the last call, as before an epoch ends. Every process calls this."""
        sums = torch.stack([*module.get_metrics("train").take_recent()])
        loss_sum, num_images = trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        self.loss_sum, self.num_images = self.loss_sum + loss_sum, self.num_images + num_images


def read_state(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a RunningLoss in a checkpoint, which is empty in an older one."""
    return checkpoint.get("callbacks", {}).get("EpochMetrics", {}).get("running_loss", {})


def list_points(checkpoint: dict[str, Any]) -> list[tuple[int, float]]:
    """Return all points before a checkpoint, as pairs of a number of optimizer steps and a loss."""
    state = read_state(checkpoint)
    return list(zip(state.get("steps", ()), state.get("losses", ()), strict=False))
