"""The command that resumes a run."""

import os
import shlex
from pathlib import Path

import lightning as L
from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_only

from classifier.cli import PROG
from classifier.cli.parsing import ALLOWED_PACKAGES
from classifier.cli.save_config import list_settings
from classifier.errors import quote_path


def list_packages(config: Namespace) -> list[str]:
    """Return the packages that `--allow_import` has to allow for a configuration, sorted.

    They are those that it allows already, and those of all classes that need it.
    """
    paths = [value for key, value in list_settings(config) if key[-1:] == ("class_path",)]
    needed = [path for path in paths if not path.startswith(tuple(f"{package}." for package in ALLOWED_PACKAGES))]
    return sorted({*config.allow_import, *(path.partition(".")[0] for path in needed)})


@rank_zero_only
def print_resume_command(trainer: L.Trainer, packages: list[str]) -> None:
    """Print the command that resumes a run from its last checkpoint.

    Args:
        trainer: The Trainer, with the logger of the run.
        packages: Packages that the run's classes are imported from.
    """
    run_dir = Path(os.path.relpath(trainer.loggers[0].log_dir or "."))
    if not (run_dir / "checkpoints" / "last.ckpt").is_file():
        print("\nstopped; no epoch is saved yet", flush=True)
        return
    options = "".join(f" --allow_import={shlex.quote(name)}" for name in packages)
    print(f"\nstopped; continue with: {PROG} fit --ckpt_path {quote_path(run_dir)}{options}", flush=True)
