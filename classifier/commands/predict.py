"""Predict the classes of image files."""

import csv
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import lightning as L
from jsonargparse.typing import PositiveInt
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from classifier.callbacks.reporting import get_class_labels
from classifier.columns import MAX_NAME, MAX_PATH, fit, measure
from classifier.data.image_files.inversion import Invert, invert_images
from classifier.data.own_images.listing import list_image_files
from classifier.data.sources import ImagesInFiles, identity_collate
from classifier.errors import SettingError, UserError, make_printable, one_line, require
from classifier.hparams import check_limit, within
from classifier.runs.checkpoints import get_settings, load_checkpoint, load_model
from classifier.runs.folders import find_checkpoint
from classifier.runs.stored_paths import describe_outside_path, list_outside_paths
from classifier.tables import check_output, format_row, name_columns, open_output


def predict(
    paths: list[str],
    ckpt_path: str = "last",
    output: str | None = None,
    invert: Invert = "auto",
    batch_size: PositiveInt = 250,
    max_pixels: PositiveInt | None = None,
    accelerator: str = "auto",
    allow_import: list[str] = [],  # noqa: B006 never changed; jsonargparse shows it in the help
) -> None:
    """Print the predicted classes of image files and of all images in folders.

    The files are decoded and resized as those of the training data were.

    Args:
        paths: Image files, and folders that contain image files.
        ckpt_path: Checkpoint to predict with: last or best of the newest run, a run's name or folder, or a .ckpt file.
        output: CSV file to write, with one row per image: file, class, and the probability (0 to 1) of every class.
        invert: Whether to invert the brightness of images: yes, no or auto. With auto, images with a light border are
            inverted if the network was trained on light objects on black, as in FashionMNIST and Digits.
        batch_size: Images per batch, from 1 to 10,000,000.
        max_pixels: Number of pixels that an image may have; by default, that of the training data.
        accelerator: Lightning's name of the device to compute on, such as auto, cpu or gpu.
        allow_import: Packages of your own that the checkpoint's classes may be imported from.

    Raises:
        UserError: The checkpoint or a path does not exist, or a file cannot be read as an image. In the second case,
            the error is raised after all other images are predicted.
    """
    require(bool(paths), "give at least one image file or folder")
    check_limit("batch_size", batch_size, within(1, 10**7))
    if output is not None:
        check_output(output)
    path = find_checkpoint(ckpt_path)
    print(f"checkpoint: {make_printable(path)}", flush=True)
    checkpoint = load_checkpoint(path)
    for outside in list_outside_paths({"model": get_settings(checkpoint)["model"]}):
        print(describe_outside_path(*outside), flush=True)
    model = load_model(checkpoint, allow_import).eval()
    try:
        model.to(L.Fabric(accelerator=accelerator, devices=1).device)
    except (RuntimeError, ValueError) as error:  # no such accelerator, or none in this machine
        raise SettingError(f"--accelerator {accelerator}: {one_line(error)}") from error
    image_shape = tuple(model.hparams.image_shape)
    require(image_shape[0] in (1, 3), f"the network takes {image_shape[0]} channels, which no image file has")
    decoding = model.decoding._replace(**{"max_pixels": max_pixels} if max_pixels else {})
    files, unused = list_image_files(paths)
    if unused.names:
        print(unused.describe(), flush=True)
    images = PredictionDataset(ImagesInFiles(files, decoding), invert, model.input_format.dark_background)
    with PredictionTable(images.files.paths, get_class_labels(model), output) as table:
        for batch, indices, problems, inverted in images.make_loader(batch_size):
            table.add(model.compute_probabilities(batch), indices, problems, inverted)
    num_undecodable = unused.count_undecodable()
    if num_skipped := table.num_skipped + num_undecodable:
        num_images = len(images) + num_undecodable
        raise UserError(f"{num_skipped:,} of {num_images:,} files could not be read as images, and were skipped")


class PredictionDataset(Dataset):
    """Dataset of image files that inverts the brightness of some or all images.

    Args:
        files: The image files.
        invert: "yes" inverts all images, "no" inverts none; see `invert_images` for "auto".
        dark_background: Whether the network was trained on light objects on black.
    """

    def __init__(self, files: ImagesInFiles, invert: Invert, dark_background: bool) -> None:
        self.files, self.invert, self.dark_background = files, invert, dark_background

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, list[int], list[str], Tensor]:
        """Read a batch of files.

        Returns:
            uint8 images (N, C, H, W), their N indices, one message per unreadable file, and a bool mask (N,) of the
            inverted images.
        """
        images, readable, problems, *_ = self.files.__getitems__(indices)
        return images, readable, problems, invert_images(images, self.invert, self.dark_background)

    def make_loader(self, batch_size: int) -> DataLoader:
        """Return a loader of batches in the form that `__getitems__` returns."""
        return DataLoader(self, batch_size, collate_fn=identity_collate, num_workers=self.files.count_workers())


class PredictionTable:
    """Prints one line per predicted image, and writes the probabilities of all classes to a CSV file.

    It is a context manager that closes the file at exit.

    Args:
        paths: Paths of all image files.
        class_names: Names of the C classes in the order of their labels.
        output: CSV file to write, with one row per image, or None.

    Raises:
        UserError: The file cannot be written.
    """

    def __init__(self, paths: Sequence[str], class_names: Sequence[str], output: str | None = None) -> None:
        self.paths, self.class_names = paths, class_names
        self.num_predicted = self.num_inverted = self.num_skipped = 0
        self.stack = ExitStack()
        self.writer = None
        if output is not None:
            self.writer = csv.writer(self.stack.enter_context(open_output(output)))
            self.writer.writerow(format_row(["file", "class", *name_columns(class_names, ("file", "class"))]))
        self.path_width = min(MAX_PATH, max(4, *(measure(make_printable(path)) for path in paths)))
        self.name_width = min(MAX_NAME, max(11, *map(measure, class_names)))

    def __enter__(self) -> "PredictionTable":
        """Print the header of the table; on a terminal, show a progress bar after two seconds."""
        # The bar appears after two seconds.
        bar = tqdm(total=len(self.paths), unit=" images", disable=None, leave=False, delay=2)
        self.progress = self.stack.enter_context(bar)
        tqdm.write(self._format("file", "class", "probability", "second best", "probability"))
        return self

    def _format(self, path: str, first: str, probability: str, second: str, second_probability: str) -> str:
        """Return a line of the table, in which control characters are masked and long names are cut."""
        names = fit(first, self.name_width), fit(second, self.name_width)
        path = fit(path, self.path_width, keep_end=True)
        return f"{path}  {names[0]}  {probability:>11}  {names[1]}  {second_probability:>11}"

    def add(self, probabilities: Tensor, indices: list[int], problems: list[str], inverted: Tensor) -> None:
        """Print and write the predictions of a batch, and print the messages about unreadable files to stderr.

        Args:
            probabilities: Class probabilities (N, C), float, from 0 to 1.
            indices: Indices of the N images in `paths`.
            problems: One message per unreadable file.
            inverted: Bool mask (N,) of the inverted images.
        """
        ordered = probabilities.sort(dim=1, descending=True, stable=True)  # of equal ones, the first, like argmax
        columns = (indices, probabilities.tolist(), ordered.values.tolist(), ordered.indices.tolist())
        for index, row, values, classes, was_inverted in zip(*columns, inverted.tolist(), strict=True):
            first, second = (self.class_names[label] for label in classes[:2])
            line = self._format(self.paths[index], first, f"{values[0]:.1%}", second, f"{values[1]:.1%}")
            tqdm.write(line + "  inverted" * was_inverted)
            if self.writer:
                self.writer.writerow(format_row([self.paths[index], self.class_names[classes[0]], *row]))
        for problem in problems:
            tqdm.write(f"skipped: {problem}", file=sys.stderr)
        sys.stdout.flush()  # without delay also in a pipe or a file
        self.num_predicted += len(indices)
        self.num_inverted += int(inverted.sum())
        self.num_skipped += len(problems)
        self.progress.update(len(indices) + len(problems))

    def __exit__(self, error_type: type | None, *error: Any) -> None:
        """Print the number of images, and close the progress bar and, unless there was an error, the file."""
        if error_type is None:
            line = f"\n{self.num_predicted:,} image{'s' * (self.num_predicted != 1)}"
            if self.num_inverted:
                line += f", {self.num_inverted:,} of them inverted: --invert no leaves images unchanged"
            tqdm.write(line)
        self.stack.__exit__(error_type, *error)
