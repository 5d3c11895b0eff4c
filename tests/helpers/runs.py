"""Read what a run has written."""

import json
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

LOGS = Path("lightning_logs")
FIT_DIGITS = ("fit", "--config=digits", "--pictures=false")


def read_results(run: str = "version_0") -> dict[str, Any]:
    """Return the content of a run's `results.json`."""
    return json.loads((LOGS / run / "results.json").read_text())


def load_last(run: str = "version_0") -> dict[str, Any]:
    """Return a run's last checkpoint."""
    return torch.load(LOGS / run / "checkpoints" / "last.ckpt", weights_only=True)


def get_weights(run: str = "version_0") -> dict[str, Tensor]:
    """Return the weights in a run's last checkpoint."""
    return load_last(run)["state_dict"]


def read_events(folder: str | Path) -> EventAccumulator:
    """Return all TensorBoard events in a folder."""
    return EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
