"""Evaluate runs from their checkpoints, as `test` does, and keep the results of every image."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from torch import Tensor

from classifier.analysis.results.image_results import ImageResults
from classifier.analysis.results.loading import LoadedRun
from classifier.callbacks.checkpointing import AtomicCheckpointIO
from classifier.callbacks.completeness import CompletenessCheck
from classifier.callbacks.console import EvaluationBar
from classifier.callbacks.reporting import get_class_labels, get_file_name
from classifier.callbacks.sigterm import KeepSigtermHandler
from classifier.data.dataset import ImageDataset
from classifier.data.training_record import find_trained_images
from classifier.errors import SettingError, UserError, one_line
from classifier.models.base import ImageClassifier
from classifier.runs.records import RunRecord


@dataclass(frozen=True)
class EvaluatedRun:
    """A run whose checkpoint was evaluated.

    Args:
        name: Name of the run, such as "version_3", or the path of a checkpoint that is not in a run's folder.
        checkpoint: The checkpoint file.
        record: Record of the training, or None if the checkpoint is not in a run's folder.
        model: Name of the network's class.
        data: Name of the dataset's class.
        split: Split that was evaluated: "test", or "val" if there are no test images.
        counts: Number of images of every split, as far as they are known.
        settings: Settings of network, data and Trainer, such as {"model.lr": 0.1}.
        results: Results of the evaluated images.
        validation: Results of the validation images; None if there are none, or if they are the evaluated split.
        get_images: Function that returns uint8 images (N, C, H, W) for their indices in the evaluated dataset.
    """

    name: str
    checkpoint: Path
    record: RunRecord | None
    model: str
    data: str
    split: str
    counts: dict[str, int]
    settings: dict[str, Any]
    results: ImageResults
    validation: ImageResults | None
    get_images: Callable[[Sequence[int]], Tensor]


def make_trainer(accelerator: str, devices: int, precision: str) -> L.Trainer:
    """Return a Trainer that evaluates, prints nothing, and shows a progress bar if standard output is a terminal.

    Raises:
        SettingError: A setting is wrong, or this machine cannot meet it.
    """
    try:
        return L.Trainer(
            accelerator=accelerator,
            devices=devices,
            precision=precision,  # type: ignore[arg-type] # it is checked by Lightning
            callbacks=[CompletenessCheck(), EvaluationBar()],
            plugins=[AtomicCheckpointIO()],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
    except Exception as error:  # Lightning raises several types
        raise SettingError(
            f"--accelerator {accelerator} --devices {devices} --precision {precision}: {one_line(error)}"
        ) from error


def evaluate_run(run: LoadedRun, trainer: L.Trainer) -> EvaluatedRun | None:
    """Evaluate a run on its test images or, if there are none, on its validation images.

    With test images, the validation images are evaluated, too, if there are any.

    Args:
        run: The run.
        trainer: Trainer of `make_trainer`; several runs can use the same one.

    Returns:
        The evaluated run, in the first process only, and None in all others.

    Raises:
        UserError: Files are missing, or the checkpoint does not fit.
    """
    data, has_test = run.data, "test" in run.data.splits
    split = "test" if has_test else "val"
    # `test` evaluates images of an own split "val" if there are no test images, but not those held out of training.
    results = evaluate_split(run, trainer, "test" if has_test or "val" in data.splits else "val", run.checkpoint)
    evaluated = run.data.datasets.get("test") or run.data.datasets["val"]
    validation = evaluate_split(run, trainer, "val") if has_test and data.has_validation_images else None
    if results is None:
        return None
    return EvaluatedRun(
        name=run.name,
        checkpoint=run.checkpoint,
        record=run.record,
        model=type(run.model).__name__,
        data=type(data).__name__,
        split=split,
        counts=count_images(run, split, len(results)),
        settings=run.settings,
        results=results,
        validation=validation,
        get_images=lambda indices: evaluated.__getitems__(list(indices))[0].cpu(),
    )


def evaluate_split(
    run: LoadedRun, trainer: L.Trainer, split: str, checkpoint: Path | None = None
) -> ImageResults | None:
    """Evaluate the images of a split.

    Args:
        run: The run.
        trainer: The Trainer.
        split: "test" for `test` of the Trainer, and "val" for `validate`.
        checkpoint: Checkpoint whose weights are loaded; None keeps the weights of the network.

    Returns:
        The results, in the first process only, and None in all others.
    """
    metrics = run.model.get_metrics(split)
    metrics.scored_images.keep_probabilities()  # type: ignore[union-attr] # those of "val" and "test" keep images
    # It removes itself when the evaluation starts.
    trainer.callbacks = [KeepSigtermHandler(), *trainer.callbacks]  # type: ignore[attr-defined] # Lightning sets it
    method = trainer.test if split == "test" else trainer.validate
    options: dict[str, Any] = {} if checkpoint is None else {"ckpt_path": checkpoint, "weights_only": True}
    try:
        method(run.model, datamodule=run.data, verbose=False, **options)
    except BaseException:
        if trainer.strategy.launcher is not None:  # the processes that this one has started would wait for it
            trainer.strategy.launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))
        raise
    results = (
        collect_results(run.model, trainer, run.data.datasets.get(split), split) if trainer.is_global_zero else None
    )
    metrics.reset()  # frees the memory of the probabilities
    return results


def collect_results(
    model: ImageClassifier, trainer: L.Trainer, dataset: ImageDataset | None, split: str
) -> ImageResults:
    """Return the results of the images that were just evaluated.

    Raises:
        UserError: The images come from a loader of the user's own.
    """
    data: Any = getattr(trainer, "datamodule", None)
    if dataset is None:
        raise UserError(f"{type(data).__name__} does not provide the {split} images as a dataset")
    images = {column: values.cpu().numpy() for column, values in model.get_metrics(split).get_images().items()}
    indices, trained = images["index"], None
    if model.training_record is not None:
        trained = find_trained_images(dataset, model.training_record).numpy()[indices]
    return ImageResults(
        class_names=tuple(get_class_labels(model)),
        names=tuple(get_file_name(trainer, dataset, index) or f"#{index}" for index in indices.tolist()),
        indices=indices,
        labels=images["label"],
        predictions=images["prediction"],
        losses=images["loss"].astype(np.float64),
        probabilities=images["probability"],
        trained=trained,
    )


def count_images(run: LoadedRun, split: str, num_evaluated: int) -> dict[str, int]:
    """Return the number of images of every split that is known without reading further images."""
    counts = {name: len(dataset) for name, dataset in run.data.datasets.items() if name in ("train", "val")}
    if "train" not in counts and run.model.training_record is not None:
        counts["train"] = len(run.model.training_record.images)
    elif "train" not in counts and run.record is not None and run.record.epochs:
        seen = run.record.epochs[-1].get("images_scored")
        counts |= {"train": seen["train"]} if isinstance(seen, dict) and isinstance(seen.get("train"), int) else {}
    counts[split] = num_evaluated
    return {name: counts[name] for name in ("train", "val", "test") if name in counts}
