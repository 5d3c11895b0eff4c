"""Properties of a run for the console, `results.json` and TensorBoard."""

from pathlib import Path
from types import SimpleNamespace

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from classifier.callbacks.reporting import find_events


def test_folder_of_the_events_is_that_of_the_first_tensorboard_logger():
    loggers = [CSVLogger("a"), TensorBoardLogger("b", version=3), TensorBoardLogger("c")]
    assert find_events(SimpleNamespace(loggers=loggers)) == Path("b/lightning_logs/version_3")
    assert find_events(SimpleNamespace(loggers=loggers[:1])) is None
