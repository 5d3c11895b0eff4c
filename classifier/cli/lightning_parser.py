"""The parser of `fit`, `validate` and `test`."""

import argparse
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from classifier.cli import PROG
from classifier.cli.parsing import OneLineErrorParser
from classifier.models.checks import ARGS_FROM_DATA

# The Trainer options that --help shows. All others work, and are in Lightning's documentation and --print_config.
COMMON_TRAINER_OPTIONS = (
    *("accelerator", "devices", "strategy", "num_nodes", "precision", "max_epochs", "max_steps", "max_time"),
    *("limit_train_batches", "overfit_batches", "fast_dev_run", "accumulate_grad_batches", "gradient_clip_val"),
    *("logger", "enable_checkpointing", "enable_progress_bar", "default_root_dir", "deterministic"),
)


class LightningParser(OneLineErrorParser, LightningArgumentParser):
    """Lightning's parser with one-line errors, and without rare Trainer options in its help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # jsonargparse itself makes parsers of this class for --model.help and --data.help, without these arguments.
        super().__init__(*args, **{"prog": f"{PROG} fit", "usage": f"{PROG} fit [options]", **kwargs})

    def format_help(self, *args: Any) -> str:
        """Return the help. Options are hidden here only, because jsonargparse does not save hidden options."""
        texts = {action: action.help for action in self._actions}
        for action in texts:
            group, _, name = action.dest.partition(".")
            if (group == "trainer" and name not in ("", *COMMON_TRAINER_OPTIONS)) or name in ARGS_FROM_DATA:
                action.help = argparse.SUPPRESS
        try:
            return super().format_help(*args)
        finally:
            for action, text in texts.items():
                action.help = text
