"""Predictions for image files: which images are inverted, and the table."""

import csv
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from jsonargparse.typing import PositiveInt
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from tqdm import tqdm

from classifier.base import ImageClassifier
from classifier.callbacks import name_classes
from classifier.errors import UserError, require
from classifier.images import ImageFiles, find_images


def is_dark_on_light(images: Tensor) -> Tensor:
    """Return for images (N, C, H, W) in uint8 whether their outermost pixels are on average lighter than mid-grey.

    So are none of the 70,000 FashionMNIST images and 1,797 digits, and all of them once they are inverted.
    """
    rows, columns = images[..., [0, -1], :], images[..., 1:-1, [0, -1]]
    return torch.cat([rows.flatten(1), columns.flatten(1)], dim=1).float().mean(dim=1) > 127.5


class PredictionFiles(ImageFiles):
    """Image files, some of them inverted.

    Args:
        paths: The files.
        image_shape: Channels (1 or 3), height and width that all images get.
        invert: "yes" inverts all images, "no" none, "auto" those that are dark on light.
    """

    def __init__(self, paths: Sequence[str], image_shape: tuple[int, int, int], invert: str) -> None:
        require(image_shape[0] in (1, 3), f"the network takes {image_shape[0]} channels, which no image file has")
        super().__init__(paths, image_shape)
        self.invert = invert

    def __getitems__(self, indices: list[int]) -> tuple[Any, ...]:
        """Return images, indices and problems as ImageFiles does, and which of the images were inverted (N,)."""
        images, read, problems = super().__getitems__(indices)
        inverted = is_dark_on_light(images) if self.invert == "auto" else torch.full((len(read),), self.invert == "yes")
        images[inverted] = 255 - images[inverted]
        return images, read, problems, inverted


class PredictionTable(Callback):
    """Prints a line for every image as soon as it is predicted, and writes all probabilities to a file.

    Args:
        output: CSV file with a row an image: file, class, and the probability of every class; None for no file.
    """

    def __init__(self, output: str | None = None) -> None:
        self.output = output
        self.num_predicted = self.num_inverted = self.num_skipped = 0
        self.opened = ExitStack()

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the file, and print the head of the table.

        Raises:
            UserError: When the file cannot be written.
        """
        self.paths = trainer.predict_dataloaders.dataset.paths
        self.class_names = name_classes(pl_module)
        if self.output:
            try:
                file = Path(self.output).open(  # noqa: SIM115 closed with the stack
                    "w", newline="", encoding="utf-8", errors="surrogateescape"
                )
            except OSError as error:
                raise UserError(f"--output {self.output} cannot be written: {error.strerror}") from error
            self.writer = csv.writer(self.opened.enter_context(file))
            self.writer.writerow(["file", "class", *self.class_names])
        self.progress = self.opened.enter_context(
            # Shown on a terminal, from the third second on.
            tqdm(total=len(self.paths), unit=" images", disable=None, leave=False, delay=2)
        )
        path, name = max(map(len, self.paths)), max(11, *map(len, self.class_names))
        self.line = f"{{:<{path}}}  {{:<{name}}}  {{:>11}}  {{:<{name}}}  {{:>11}}"
        tqdm.write(self.line.format("file", "class", "probability", "second best", "probability"))

    def on_predict_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Tensor, batch: Any, *_: Any
    ) -> None:
        """Print a line an image, and name on stderr the files that are no images."""
        _, read, problems, inverted = batch
        ordered = outputs.cpu().sort(dim=1, descending=True, stable=True)  # of equals first what argmax finds
        columns = (read, outputs.tolist(), ordered.values.tolist(), ordered.indices.tolist(), inverted.tolist())
        for index, probabilities, values, classes, was_inverted in zip(*columns, strict=True):
            first, second = (self.class_names[label] for label in classes[:2])
            # What cannot be printed of a file's name could spoil the terminal.
            path = "".join(character if character.isprintable() else "?" for character in self.paths[index])
            line = self.line.format(path, first, f"{values[0]:.1%}", second, f"{values[1]:.1%}")
            tqdm.write(line + "  inverted" * was_inverted)
            if self.output:
                self.writer.writerow([self.paths[index], first, *(f"{value:.7g}" for value in probabilities)])
        for problem in problems:
            tqdm.write(f"skipped: {problem}", file=sys.stderr)
        sys.stdout.flush()  # at once also in a pipe or a file
        self.num_predicted += len(read)
        self.num_inverted += int(inverted.sum())
        self.num_skipped += len(problems)
        self.progress.update(len(read) + len(problems))

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say what was done."""
        line = f"\n{self.num_predicted:,} image{'s' * (self.num_predicted != 1)}"
        if self.num_inverted:
            line += f", {self.num_inverted:,} of them inverted: --invert no takes them as they are"
        tqdm.write(line)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Close file and progress bar, also after an error."""
        self.opened.close()


def predict_files(
    trainer: L.Trainer,
    model: ImageClassifier,
    paths: Iterable[str],
    output: str | None = None,
    invert: Literal["auto", "yes", "no"] = "auto",
    batch_size: PositiveInt = 250,
) -> None:
    """Print what is on the images of files and folders.

    Args:
        trainer: Runs the network, on one device.
        model: The network.
        paths: Files and folders, see `find_images`.
        output: CSV file with a row an image: file, class, and the probability of every class; None for no file.
        invert: Whether light and dark are exchanged. With auto it is done where the border of an image is light; the
            command line does that only for networks trained on light things on black, as FashionMNIST and Digits are.
        batch_size: Images at a time, above 0.

    Raises:
        UserError: When a path does not exist, or, at the end, when a file was no image.
    """
    require(trainer.world_size == 1, f"predict runs in one process, not in {trainer.world_size}")
    files = PredictionFiles(find_images(paths), tuple(model.hparams.image_shape), invert)
    table = PredictionTable(output)
    trainer.callbacks.append(table)
    trainer.predict(model, files.make_loader(batch_size), return_predictions=False)
    if table.num_skipped:
        raise UserError(f"{table.num_skipped:,} of {len(files):,} files could not be read as images, and were skipped")
