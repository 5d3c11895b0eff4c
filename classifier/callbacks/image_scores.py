"""Results of every evaluated image: whether it was trained on, and a file with one row per image."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from tqdm import tqdm

from classifier.callbacks.reporting import get_class_labels, get_evaluated_dataset, get_file_name
from classifier.data.base import ImageDataModule
from classifier.data.training_record import TrainingRecord, describe_decoding, find_trained_images, get_decoding
from classifier.tables import open_rows


class ImageScores(Callback):
    """After `test` and `validate`, prints how many images were trained on, and writes a file.

    Nothing is printed if there are none, or if the checkpoint has no record of its training images.

    Args:
        output: CSV or JSON file to write, with one row per image, or None.
    """

    state_key = "ImageScores"

    def __init__(self, output: str | None = None) -> None:
        self.output = output

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Make the metrics keep the probabilities, if they are written."""
        if self.output is not None:
            for split in ("val", "test"):
                pl_module.get_metrics(split).scored_images.keep_probabilities()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the validation images, unless the validation is part of training."""
        if trainer.state.fn == "validate":
            self._report(trainer, pl_module, "val")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the test images."""
        self._report(trainer, pl_module, "test")

    def _report(self, trainer: L.Trainer, module: L.LightningModule, split: str) -> None:
        """Print how many images of a split were trained on, and write the file, in the first process."""
        record, dataset = module.training_record, get_evaluated_dataset(trainer, split)
        if not trainer.is_global_zero or (self.output is None and record is None):
            return
        images = {column: values.cpu() for column, values in module.get_metrics(split).get_images().items()}
        trained = None
        if record is not None and dataset is not None:
            trained = find_trained_images(dataset, record)[images["index"]]
            write_lines(describe_trained_images(images["prediction"] == images["label"], trained))
            write_lines(describe_unknown_images(record, trainer.datamodule))
        if self.output is not None:
            names = [get_file_name(trainer, dataset, index) for index in images["index"].tolist()]
            write_scores(self.output, images, names, get_class_labels(module), trained)


def write_lines(text: str) -> None:
    """Print a text, unless it is empty, above the progress bar."""
    if text:
        tqdm.write(text)
        sys.stdout.flush()


def describe_unknown_images(record: TrainingRecord, data: Any) -> str:
    """Return why images that were trained on may not be found, or "" if they are."""
    if not isinstance(data, ImageDataModule):
        return ""
    changed = describe_decoding(record.decoding, get_decoding(data.hparams, data.image_shape))
    return f"images that were trained on may not be recognised: {changed}" if changed else ""


def describe_trained_images(correct: Tensor, trained: Tensor) -> str:
    """Return how many of the evaluated images were trained on, and the accuracy without them, or "" if there are none.

    Args:
        correct: Bool mask (N,) of the images that were classified correctly.
        trained: Bool mask (N,) of the images that were trained on.
    """
    count, total = int(trained.sum()), len(trained)
    if count == 0:
        return ""
    if count == total:
        return f"all of these {total:,} images were trained on"
    rest = correct[~trained]
    return (
        f"{count:,} of these {total:,} images {'was' if count == 1 else 'were'} trained on; without "
        f"{'it' if count == 1 else 'them'}: accuracy {rest.double().mean():.2%} ({len(rest):,} "
        f"image{'s' * (len(rest) != 1)})"
    )


def write_scores(
    output: str,
    images: dict[str, Tensor],
    names: list[str | None],
    class_names: list[str],
    trained: Tensor | None = None,
) -> None:
    """Write a file with one row per image: file or index, true and predicted class, and all probabilities.

    Args:
        output: Path of the file, as CSV or JSON.
        images: Columns `index`, `label`, `prediction` (N,) and `probability` (N, C), on the CPU.
        names: Paths of the N images; None for an image without a file, which is named by its index.
        class_names: Names of the C classes in the order of their labels.
        trained: Bool mask (N,) of the images that were trained on, or None if it is not known.

    Raises:
        UserError: The file cannot be written.
    """
    known = trained is not None
    columns = ["file" if any(names) else "index", "true", "predicted", *["trained_on"] * known]
    flags: list[Any] = trained.tolist() if trained is not None else [None] * len(names)
    values = (images[column].tolist() for column in ("index", "label", "prediction"))
    with open_rows(output, columns, class_names) as rows:
        for i, (name, flag, index, label, prediction) in enumerate(zip(names, flags, *values, strict=True)):
            classes = class_names[label], class_names[prediction]
            rows.add([name or index, *classes, *[flag] * known], images["probability"][i].tolist())
