"""Silence tips and irrelevant warnings of Lightning."""

import logging
import warnings

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


def silence_lightning() -> None:
    """Suppress Lightning's tips, and its warnings that do not apply to this package."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # the report that somebody asked for
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", f"(?s){message}")  # the path in a message can contain a line break
