"""The logger of a run."""

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from classifier.errors import UserError
from classifier.files import atomic_write


class RunLogger(TensorBoardLogger):
    """A TensorBoardLogger that writes `hparams.yaml` atomically, and again if a resumed run has other settings."""

    written: dict[str, Any] | None = None

    @property
    def log_dir(self) -> str:
        """The run's folder; "$" and "~" in its path are kept, as in the paths of the checkpoints."""
        version = self.version if isinstance(self.version, str) else f"version_{self.version}"
        return str(Path(self.root_dir, version))

    @contextlib.contextmanager
    def report_failures(self) -> Iterator[None]:
        """Raise a UserError in place of an OSError; those of TensorBoard's thread do not contain a path."""
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.log_dir}: events for TensorBoard cannot be written: {error.strerror}") from error

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Write scalars at a position on the x axis."""
        with self.report_failures():
            super().log_metrics(metrics, step)

    @rank_zero_only
    def save(self) -> None:
        """Write the events and, if the hyperparameters have changed since the last call, `hparams.yaml`."""
        path = Path(self.log_dir, self.NAME_HPARAMS_FILE)
        with self.report_failures():
            if self.hparams != self.written and path.parent.is_dir():
                self.written = copy.deepcopy(dict(self.hparams))
                with atomic_write(path) as unfinished:
                    save_hparams_to_yaml(unfinished, dict(self.hparams))
            super().save()  # which would write the file if it did not exist

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the remaining events, and close their file."""
        with self.report_failures():
            super().finalize(status)
