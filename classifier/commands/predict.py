"""Predict the classes of image files."""

import sys
from functools import partial

import lightning as L
from jsonargparse.typing import PositiveInt
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from classifier.callbacks.reporting import get_class_labels
from classifier.commands.prediction_table import PredictionFormat, PredictionTable
from classifier.data.image_files.inversion import Invert, invert_images
from classifier.data.own_images.listing import list_image_files
from classifier.data.sources import ImagesInFiles, identity_collate
from classifier.errors import SettingError, UserError, make_printable, one_line, require
from classifier.hparams import check_limit, within
from classifier.runs.checkpoints import get_settings, load_checkpoint, load_model
from classifier.runs.folders import find_checkpoint
from classifier.runs.stored_paths import describe_outside_path, list_outside_paths
from classifier.tables import check_output


def predict(
    paths: list[str],
    ckpt_path: str = "last",
    output: str | None = None,
    format: PredictionFormat = "text",  # noqa: A002 the name of the option
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
        ckpt_path: Checkpoint: last or best of the run started last, a run's name or folder, or a .ckpt file.
        output: CSV or JSON file to write, with one row per image: file, class, its probability (0 to 1), and the
            probability of every class.
        format: What is printed for every image. text: a line with the two most probable classes. csv and json: the row
            that `output` contains, for other programs; everything else is then printed to standard error.
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
    report = partial(print, flush=True, file=sys.stdout if format == "text" else sys.stderr)
    path = find_checkpoint(ckpt_path)
    report(f"checkpoint: {make_printable(path)}")
    checkpoint = load_checkpoint(path)
    for outside in list_outside_paths({"model": get_settings(checkpoint)["model"]}):
        report(describe_outside_path(*outside))
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
        report(unused.describe())
    images = PredictionDataset(ImagesInFiles(files, decoding), invert, model.input_format.dark_background)
    with PredictionTable(images.files.paths, get_class_labels(model), output, format) as table:
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
