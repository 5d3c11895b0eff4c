"""A short, deterministic part of the trial with all classes of Lightning."""

from pathlib import Path

from fuzz.lightning_parts import Part, try_part


def test_class_that_is_built_passes_and_one_that_fails_later_is_found():
    assert list(try_part(Part("callbacks", "lightning.pytorch.callbacks.LearningRateMonitor", {}))) == []
    assert sorted(path.name for path in Path("lightning_logs").iterdir()) == ["version_0", "version_1"]
