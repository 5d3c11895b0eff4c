"""Avoid imports that take a considerable part of the time to start, and that nothing uses."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

SIGNAL = "scipy.signal"


class _DeferredSignal(ModuleType):
    """Stands for `scipy.signal` until another attribute than `hamming` is used; then the real module is imported."""

    hamming = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspect looks for the file of every module
            raise AttributeError(name)
        if sys.modules.get(SIGNAL) is self:
            del sys.modules[SIGNAL]
        return getattr(importlib.import_module(SIGNAL), name)


@contextlib.contextmanager
def defer_scipy_signal() -> Iterator[None]:
    """Let torchmetrics be imported without `scipy.signal` while the context is open.

    torchmetrics, which Lightning imports, imports `scipy.signal` only to add the function `hamming` to it if it is
    missing, for the sake of one metric of audio signals. This takes 15% of the time to import Lightning, and 57 MB of
    memory. Afterwards, `scipy.signal` can be imported as usual.
    """
    if SIGNAL in sys.modules:
        yield
        return
    deferred = sys.modules[SIGNAL] = _DeferredSignal(SIGNAL)
    try:
        yield
    finally:
        if sys.modules.get(SIGNAL) is deferred:
            del sys.modules[SIGNAL]
