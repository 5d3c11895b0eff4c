"""Silence tips and irrelevant warnings of Lightning, and print its messages that a setting asks for."""

import logging
import sys
import warnings

from tqdm import tqdm

IGNORED_WARNINGS = (
    # The images are in memory: workers would not be faster.
    ".*does not have many workers.*",
    # Everything is logged once per epoch, and nothing per step.
    ".*is smaller than the logging interval.*",
    # Lightning 2.6.6 calls what PyTorch 2.15 deprecates.
    ".*treespec, LeafSpec.*",
    # Scoring does not need the callbacks that wrote the checkpoint.
    ".*callbacks used to create the checkpoint need to be provided.*",
    # A run that continues from another folder's checkpoint has its own best epoch.
    ".*The dirpath has changed from.*",
    # A resumed run continues in its own folder.
    ".*Checkpoint directory .* exists and is not empty.*",
    # A CSVLogger writes to the run's folder, and a resumed run continues its file.
    ".*Experiment logs directory .* exists and is not empty.*",
    # ResultPrinter reports that there are neither validation nor test images.
    ".*Total length of `list` across ranks is zero.*",
)


# Modules of Lightning that log only what a setting such as `verbose` asks for, and the loggers that they use.
REQUESTED = ("early_stopping", "finetuning", "model_checkpoint", "model_summary", "profiler", "pruning")
LOGGERS = (
    *(f"callbacks.{name}" for name in ("early_stopping", "finetuning", "model_summary", "pruning")),
    *("profilers.profiler", "utilities.rank_zero"),
)


def silence_lightning() -> None:
    """Suppress Lightning's tips, and its warnings that do not apply to this package.

    What was asked for is printed to standard output: the summary of the network, the report of a profiler, and what a
    callback with `verbose` does.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in LOGGERS:
        logger = logging.getLogger(f"lightning.pytorch.{name}")
        logger.setLevel(logging.INFO)
        logger.addFilter(print_requested)
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", f"(?s){message}")  # the path in a message can contain a line break


def print_requested(record: logging.LogRecord) -> bool:
    """Print a message that was asked for above the progress bar, unless the end of the run reports it anyway.

    Returns:
        Whether the logger passes the message on, which it does with warnings and errors.
    """
    if record.levelno >= logging.WARNING:
        return True
    text = record.getMessage()
    if record.module in REQUESTED and not text.endswith("Signaling Trainer to stop."):
        tqdm.write(text.strip("\n"))
        sys.stdout.flush()
    return False
