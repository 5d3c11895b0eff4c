"""The loggers of a run: TensorBoard and CSV files that can be continued, and one for runs that use neither."""

import contextlib
import copy
import csv
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from classifier.errors import UserError
from classifier.files import atomic_write

HPARAMS_FILE = TensorBoardLogger.NAME_HPARAMS_FILE


def save_hparams(run_dir: Path, hparams: dict[str, Any], written: dict[str, Any] | None) -> dict[str, Any]:
    """Write `hparams.yaml` atomically if the hyperparameters have changed, and return a copy of what was written last.

    Args:
        run_dir: Folder of the run. If it does not exist, nothing is written.
        hparams: The hyperparameters.
        written: What was written last, or None.
    """
    if hparams == written or not run_dir.is_dir():
        return written or {}
    with atomic_write(run_dir / HPARAMS_FILE) as unfinished:
        save_hparams_to_yaml(unfinished, hparams)
    return copy.deepcopy(hparams)


class RunFolder(Logger):
    """Names the folder of a run whose loggers may not have one, and writes `hparams.yaml` to it.

    It is the first logger of such a run. Lightning therefore stores checkpoints in that folder. As Lightning passes the
    first logger to a network as `self.logger`, all that this class does not define is taken from the user's logger.

    Args:
        folder: Folder of the run.
        logger: The first logger of the user.
    """

    name = version = ""  # Lightning adds them to `save_dir`, which names the run already

    def __init__(self, folder: Path, logger: Logger) -> None:
        super().__init__()
        self.folder, self.logger = folder, logger
        self.hparams: dict[str, Any] = {}
        self.written: dict[str, Any] | None = None

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.folder)

    root_dir = log_dir = save_dir

    @property
    def experiment(self) -> Any:
        """The object with which the user's logger writes."""
        return getattr(self.logger, "experiment")  # noqa: B009 which not every class of loggers has

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the user's logger, such as `log_image`."""
        if name.startswith("_") or name == "logger":  # before `__init__`, as while an object is unpickled
            raise AttributeError(name)
        return getattr(self.logger, name)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Store hyperparameters, which `save` writes."""
        self.hparams.update(vars(params) if isinstance(params, Namespace) else params)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Do nothing: `results.json` contains the metrics."""

    @rank_zero_only
    def save(self) -> None:
        """Write `hparams.yaml`, if the hyperparameters have changed since the last call."""
        self.written = save_hparams(self.folder, self.hparams, self.written)


class RunCSVLogger(CSVLogger):
    """A CSVLogger whose file can be continued by a resumed run. Lightning's deletes the file of an earlier process."""

    def __init__(
        self,
        save_dir: str | Path,
        name: str | None = "lightning_logs",
        version: int | str | None = None,
        *,
        prefix: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(save_dir, name, version, prefix=prefix, **kwargs)
        self.prefix = prefix

    @property
    def metrics_file(self) -> Path:
        """The CSV file."""
        return Path(self.log_dir, "metrics.csv")

    def read_points(self) -> list[dict[str, str]]:
        """Return the rows of the file without their empty cells; none if it does not exist or is damaged."""
        try:
            with self.metrics_file.open(newline="") as file:
                rows = [{key: cell for key, cell in row.items() if key and cell} for row in csv.DictReader(file)]
        except (OSError, ValueError, TypeError, csv.Error):
            return []
        return [row for row in rows if row.get("step", "").isdecimal()]

    def replace_points(self, rows: list[dict[str, str]]) -> None:
        """Replace the content of the file by rows that `read_points` has returned."""
        for row in rows:  # the first access to `experiment` deletes the file
            self.experiment.log_metrics({key: cell for key, cell in row.items() if key != "step"}, int(row["step"]))
        self.experiment.save()


class RunLogger(TensorBoardLogger):
    """A TensorBoardLogger that writes `hparams.yaml` atomically, and again if a resumed run has other settings."""

    written: dict[str, Any] | None = None

    def __init__(
        self,
        save_dir: str | Path,
        name: str | None = "lightning_logs",
        version: int | str | None = None,
        *,
        prefix: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(save_dir, name, version, prefix=prefix, **kwargs)
        self.prefix = prefix

    @property
    def log_dir(self) -> str:
        """The run's folder; "$" and "~" in its path are kept, as in the paths of the checkpoints."""
        version = self.version if isinstance(self.version, str) else f"version_{self.version}"
        return str(Path(self.root_dir, version, self.sub_dir or ""))

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
        with self.report_failures():
            self.written = save_hparams(Path(self.log_dir), dict(self.hparams), self.written)
            super().save()  # which would write the file if it did not exist

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the remaining events, and close their file."""
        with self.report_failures():
            super().finalize(status)
