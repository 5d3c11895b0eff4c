"""LearningRateFinder and BatchSizeFinder: search a setting before the run, which then trains as if it had been given.

Within a run, Lightning's callbacks would change a setting that `config.yaml` contains with its old value, and draw
random numbers that a rerun with the new value does not draw.
"""

import copy
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import lightning as L
import torch
from jsonargparse import Namespace
from lightning.pytorch.callbacks import BatchSizeFinder, Callback, LearningRateFinder
from lightning.pytorch.tuner import Tuner
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from tqdm import tqdm

from classifier.cli.config_types import find_imported
from classifier.cli.save_config import update_saved_config
from classifier.cli.trainer_options import MANY, Trainer
from classifier.cli.trainer_parts import list_parts
from classifier.cli.trainer_setup import make_plugins
from classifier.data.base import ImageDataModule
from classifier.errors import SettingError, require
from classifier.models.base import ImageClassifier

FINDERS: tuple[type[Callback], ...] = (BatchSizeFinder, LearningRateFinder)  # in the order of their searches
# Settings of the run that its search has as well.
SHARED = (
    *("accelerator", "precision", "accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm"),
    *("limit_train_batches", "overfit_batches", "deterministic", "benchmark"),
)


class Finder(NamedTuple):
    """A search of Lightning: the class of its callback, and the arguments of the class."""

    callback: Any
    arguments: Namespace


def take_finders(config: Namespace, is_resumed: bool) -> list[Finder]:
    """Return the searches among the callbacks of a configuration, in their order, and remove them from it.

    A class of the user's own that is derived from one of Lightning's remains a callback.

    Args:
        config: The parsed configuration of `fit`; it is changed in place.
        is_resumed: Whether training continues from a checkpoint.

    Raises:
        SettingError: There is a search, although training continues from a checkpoint.
    """
    specs = list_parts(config.trainer.callbacks)
    finders = [
        Finder(cls, spec.get("init_args") or Namespace())
        for cls in FINDERS
        for spec in specs
        if find_imported(spec.class_path) is cls
    ]
    if finders:
        name = finders[0].callback.__name__
        require(not is_resumed, f"{name} belongs to a new run: leave it out, or leave out --ckpt_path")
        config.trainer.callbacks = [spec for spec in specs if find_imported(spec.class_path) not in FINDERS] or None
    return finders


def search_settings(
    finders: list[Finder], trainer: Any, model: ImageClassifier, data: ImageDataModule, config: Namespace
) -> None:
    """Search settings, print them, and set them in the network or the dataset and in the configuration.

    Apart from that, network and random number generators are left as they were.

    Args:
        finders: The searches.
        trainer: The Trainer of the run that follows.
        model: The network of that run.
        data: The dataset, with its files prepared.
        config: The configuration; it is changed in place.

    Raises:
        SettingError: The run has several processes, the network or the dataset lacks the argument, or the search fails.
    """
    for finder in finders:
        name = finder.callback.__name__
        if trainer.fast_dev_run:
            rank_zero_warn(f"{name} is skipped, because fast_dev_run is set")
            continue
        is_lr = finder.callback is LearningRateFinder
        part, title = (config.model, "learning rate") if is_lr else (config.data, "batch size")
        argument = find_argument(finder, part)
        option = f"--{'model' if is_lr else 'data'}.{argument}"
        require(
            trainer.world_size == 1,
            f"{name} needs a single process: search with --trainer.devices 1, and pass the result as {option}",
        )
        with isolate_rng(), tempfile.TemporaryDirectory() as folder:
            value = search(finder, make_search_trainer(config, folder), copy.deepcopy(model), data)
        if is_lr and not finder.arguments.update_attr:
            rank_zero_only(print)(
                f"{title} {value:.3g}, found by {name} and not used: update_attr is false", flush=True
            )
            continue
        part.init_args[argument] = (model if is_lr else data).hparams[argument] = value
        rank_zero_only(print)(f"{title} {value:.3g}, found by {name}" if is_lr else f"{title} {value}, found by {name}")
    if finders:
        update_saved_config(trainer)


def find_argument(finder: Finder, part: Namespace) -> str:
    """Return the argument of the network or the dataset that a search sets.

    Raises:
        SettingError: There is no such argument.
    """
    name = finder.callback.__name__
    if finder.callback is BatchSizeFinder:
        choices = [finder.arguments.batch_arg_name]
    else:
        choices = [finder.arguments.attr_name] if finder.arguments.attr_name else ["lr", "learning_rate"]
    found = next((choice for choice in choices if choice in part.init_args), None)
    if found is None:
        raise SettingError(f"{name}: {part.class_path} has no argument {' or '.join(choices)}")
    return found


def make_search_trainer(config: Namespace, folder: str) -> L.Trainer:
    """Return a Trainer for a search, which writes to no other folder than the given one."""
    settings = {name: config.trainer[name] for name in SHARED}
    return Trainer(
        **settings,
        max_epochs=MANY,  # those of the run may end before the search does
        devices=1,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        plugins=make_plugins(None),
    )


def search(finder: Finder, trainer: Any, model: ImageClassifier, data: ImageDataModule) -> Any:
    """Return the value that a search has found.

    Args:
        finder: The search.
        trainer: The Trainer of the search.
        model: A network, which the search trains.
        data: The dataset.

    Raises:
        SettingError: Nothing was found.
    """
    arguments = finder.arguments.as_dict()
    tuner = Tuner(trainer)
    if finder.callback is BatchSizeFinder:
        return tuner.scale_batch_size(model, datamodule=data, **arguments)
    arguments |= {"num_training": arguments.pop("num_training_steps"), "update_attr": False}
    with show_progress(trainer, model):
        found = tuner.lr_find(model, datamodule=data, **arguments)
    losses = torch.tensor(found.results["loss"][10:-1] if found else [])  # those that Lightning considers
    require(
        int(losses.isfinite().sum()) > 1,
        "LearningRateFinder has too few finite losses to choose from: raise num_training_steps, or lower max_lr",
    )
    return found.suggestion() if found else None


@contextmanager
def show_progress(trainer: Any, model: ImageClassifier) -> Iterator[None]:
    """Replace the bar of Lightning's search, which remains on the screen, by one that disappears.

    Lightning adds the callback that shows the bar when the search starts, and calls only the network's own hooks.
    """
    bars: list[tqdm] = []
    handler = signal.getsignal(signal.SIGTERM)

    def on_train_start() -> None:
        signal.signal(signal.SIGTERM, handler)  # which Lightning has replaced; see callbacks/sigterm.py
        for callback in trainer.callbacks:
            if hasattr(callback, "progress_bar"):
                callback.progress_bar = tqdm(
                    desc="search of the learning rate", total=callback.num_training, leave=False, disable=None
                )
                bars.append(callback.progress_bar)

    model.on_train_start = on_train_start  # type: ignore[method-assign]
    try:
        yield
    finally:
        for bar in bars:
            bar.close()
