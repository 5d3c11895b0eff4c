"""The logger of a run."""

import copy
from pathlib import Path
from typing import Any

from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from classifier.files import atomic_write


class RunLogger(TensorBoardLogger):
    """A TensorBoardLogger that writes `hparams.yaml` atomically, and again if a resumed run has other settings."""

    written: dict[str, Any] | None = None

    @rank_zero_only
    def save(self) -> None:
        """Write `hparams.yaml`, if the hyperparameters have changed since the last call, and the events."""
        path = Path(self.log_dir, self.NAME_HPARAMS_FILE)
        if self.hparams != self.written and path.parent.is_dir():
            self.written = copy.deepcopy(dict(self.hparams))
            with atomic_write(path) as unfinished:
                save_hparams_to_yaml(unfinished, dict(self.hparams))
        super().save()  # which would write the file if it did not exist
