"""An estimate of the time until a run ends."""

import math
import time

import lightning as L
from lightning.pytorch.callbacks import Callback, Timer


class TimeLeft:
    """Estimates the time until a run ends from the time that its optimizer steps and evaluations have taken so far."""

    def __init__(self) -> None:
        self.started = self.num_steps = math.inf
        self.first_step = 0

    def start(self, trainer: L.Trainer) -> None:
        """Start the clock, when training starts or is resumed."""
        self.started, self.first_step = time.monotonic(), trainer.global_step
        num_steps = trainer.estimated_stepping_batches
        self.num_steps = num_steps if num_steps > 0 else math.inf  # -1 for a loader without a length

    def estimate(self, trainer: L.Trainer) -> float | None:
        """Return the number of seconds until the run ends, or None if it is not known."""
        callbacks: list[Callback] = trainer.callbacks
        times = [callback.time_remaining() for callback in callbacks if isinstance(callback, Timer)]
        done = trainer.global_step - self.first_step
        if done > 0 and math.isfinite(self.num_steps):
            times.append((time.monotonic() - self.started) / done * (self.num_steps - trainer.global_step))
        known = [seconds for seconds in times if seconds is not None]
        return max(0.0, min(known)) if known else None
