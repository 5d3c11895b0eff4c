"""Avoid the overhead of profiling hooks while no profiler is used."""

import contextlib
from collections.abc import Iterator

import torch
from lightning.pytorch.profilers import PassThroughProfiler


class NoProfiler(PassThroughProfiler):
    """A profiler that measures nothing.

    Lightning's default profiler creates a generator 60 times per step. Avoiding that saves 4% of a step.
    """

    no_context = contextlib.nullcontext()

    def profile(self, action_name: str) -> contextlib.nullcontext:  # type: ignore[override]
        """Return a context that does nothing."""
        return self.no_context


class LazyRecordFunction(torch.autograd.profiler.record_function):
    """A label for PyTorch's profiler that is recorded only while the profiler runs."""

    def __enter__(self) -> "LazyRecordFunction":
        """Start the label, if a profiler runs."""
        self.is_recording = getattr(torch.autograd.profiler, "_is_profiler_enabled", True)
        return super().__enter__() if self.is_recording else self

    def __exit__(self, *error: object) -> None:
        """End the label, if it was started."""
        if self.is_recording:
            super().__exit__(*error)


@contextlib.contextmanager
def record_only_while_profiling() -> Iterator[None]:
    """While the context is open, make PyTorch record profiler labels only if a profiler runs.

    This saves 5% of a step.
    """
    record_function = torch.autograd.profiler.record_function
    torch.autograd.profiler.record_function = LazyRecordFunction  # type: ignore[misc]
    try:
        yield
    finally:
        torch.autograd.profiler.record_function = record_function  # type: ignore[misc]
