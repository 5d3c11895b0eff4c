"""The parser of `fit`, `validate` and `test`."""

import argparse
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

from classifier.cli import PROG
from classifier.cli.help_text import arrange_help
from classifier.cli.parsing import OneLineErrorParser, describe_choices
from classifier.data.base import ImageDataModule
from classifier.models.base import ImageClassifier
from classifier.models.checks import ARGS_FROM_DATA

# The Trainer options that --help shows. All others work, and are in Lightning's documentation and --print_config.
COMMON_TRAINER_OPTIONS = (
    *("accelerator", "devices", "strategy", "num_nodes", "precision", "max_epochs", "max_steps", "max_time"),
    *("limit_train_batches", "overfit_batches", "fast_dev_run", "accumulate_grad_batches", "gradient_clip_val"),
    *("logger", "enable_checkpointing", "enable_progress_bar", "default_root_dir", "deterministic"),
)
# Texts in place of Lightning's and jsonargparse's, which do not hold here or explain their own terms.
OWN_TEXTS = {
    "seed_everything": "Seed of all random numbers. The same seed gives the same results; true draws one.",
    "trainer.accelerator": "Type of device: auto, cpu, gpu, mps, tpu or hpu.",
    "trainer.strategy": "How several devices work together, such as auto, ddp or fsdp.",
    "trainer.devices": "Devices to use: a number, a list of indices, -1 for all, or auto.",
    "trainer.num_nodes": "Number of machines.",
    "trainer.fast_dev_run": "Run this number of batches of every kind (true: one) as a test, without files.",
    "trainer.max_epochs": "Number of epochs, or -1 for no limit; by default 30, unless max_steps or max_time is set.",
    "trainer.max_steps": "Number of optimizer steps after which training stops, or -1 for no limit.",
    "trainer.max_time": "Time after which training stops, as DD:HH:MM:SS.",
    "trainer.overfit_batches": "Number or fraction of batches to overfit, for training and validation; 0.0 for none.",
    "trainer.enable_checkpointing": "Whether to save checkpoints of the last and the best epoch; true by default.",
    "trainer.enable_progress_bar": "Whether to show a progress bar; the line per epoch is always printed.",
    "trainer.default_root_dir": "Folder that contains lightning_logs with the folders of the runs.",
    "trainer.logger": "Logger, or loggers, in place of TensorBoard's; --trainer.logger+ adds one, false uses none.",
    "model.help": "Show the options of a network and exit.",
    "data.help": "Show the options of a dataset and exit.",
}


class LightningParser(OneLineErrorParser, LightningArgumentParser):
    """Lightning's parser with one-line errors, and without rare Trainer options in its help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # jsonargparse itself makes parsers of this class for --model.help and --data.help, without these arguments.
        super().__init__(*args, **{"prog": f"{PROG} fit", "usage": f"{PROG} fit [options]", **kwargs})

    def format_help(self, *args: Any) -> str:
        """Return the help. Options are hidden here only, because jsonargparse does not save hidden options."""
        texts = {action: action.help for action in self._actions}
        is_whole = any(action.dest == "trainer" for action in texts)  # and not that of networks or datasets alone
        for action in texts:
            group, _, name = action.dest.partition(".")
            is_rare = group == "trainer" and name not in COMMON_TRAINER_OPTIONS
            if is_rare or name in ARGS_FROM_DATA or (not is_whole and not name):
                action.help = argparse.SUPPRESS
            elif action.dest in ("model", "data"):
                action.help = describe_choices(action.dest)
            else:
                action.help = OWN_TEXTS.get(action.dest, action.help)
        try:
            text = super().format_help(*args)
        finally:
            for action, original in texts.items():
                action.help = original
        command = str(self.prog).rpartition(" ")[2]
        return arrange_help(text, self.format_shared(), command) if is_whole else text

    def format_shared(self) -> str:
        """Return the help of the options that all networks, and all datasets, have."""
        parser = LightningParser(add_help=False)
        parser.add_class_arguments(ImageClassifier, "model", skip=set(ARGS_FROM_DATA))
        parser.add_class_arguments(ImageDataModule, "data")
        return parser.format_help()
