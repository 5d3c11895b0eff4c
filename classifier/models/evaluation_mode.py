"""Temporary evaluation mode."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Set a module to evaluation mode while the context is open, and then restore the mode of every layer.

    `module.train()` would not restore layers that were in evaluation mode before, such as frozen ones.
    """
    training = [layer for layer in module.modules() if layer.training]
    module.eval()
    try:
        yield
    finally:
        for layer in training:
            layer.training = True
