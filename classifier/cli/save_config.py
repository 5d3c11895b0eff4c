"""Save the configuration of a run."""

from pathlib import Path

import lightning as L
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from classifier.files import atomic_write


class SaveConfig(SaveConfigCallback):
    """Writes `config.yaml` atomically to the run's folder.

    Args:
        parser: The parser of the command.
        config: The configuration.
    """

    def __init__(self, parser: LightningArgumentParser, config: Namespace) -> None:
        super().__init__(parser, config, save_to_log_dir=False)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Save the file, and remove this callback, so that it is not called 6 times per step without effect."""
        self.log_dir = trainer.log_dir or "."  # which all processes have to ask together
        super().setup(trainer, pl_module, stage)
        others = [callback for callback in trainer.callbacks if callback is not self]  # type: ignore[attr-defined]
        trainer.callbacks = others  # type: ignore[attr-defined]

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Write `config.yaml`."""
        path = Path(self.log_dir, self.config_filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            self.parser.save(self.config, unfinished, skip_none=False, overwrite=True)
