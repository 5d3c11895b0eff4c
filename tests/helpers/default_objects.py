"""A callback whose default arguments are objects."""

import datetime
import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def double(number: int) -> int:
    return 2 * number


class Thing:
    """A class without a text form."""


class ManyDefaults(Callback):
    """A callback whose default arguments are objects."""

    def __init__(
        self,
        thing: Any = Thing(),  # noqa: B008
        untyped=(1, 2),
        function: Callable = double,
        key: Callable = lambda x: x,
        colour: Colour = Colour.RED,
        pause: datetime.timedelta = datetime.timedelta(seconds=3),
        device: torch.device = torch.device("cpu"),  # noqa: B008
        dtype: torch.dtype = torch.float32,
        weights: torch.Tensor = torch.zeros(2),  # noqa: B008
        kinds: set = frozenset({1}),
        limits: tuple[float, float] = (float("inf"), float("nan")),
        path: Path = Path("a"),
        count: int = 3,
    ) -> None:
        self.thing, self.count = thing, count
