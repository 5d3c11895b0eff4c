"""Pictures of a run's results: drawn once, for TensorBoard and as PNG files in the run's folder."""

import contextlib
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import lightning as L
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from classifier.callbacks.reporting import get_class_labels, get_file_name
from classifier.data.dataset import ImageDataset
from classifier.files import atomic_write
from classifier.plots import caption_file, plot_confusion_matrix, plot_curves, plot_images

Pixels = npt.NDArray[np.uint8]  # (H, W, 3)


class PictureFiles:
    """The pictures in the folder of a run, and the time that drawing them takes.

    Args:
        folder: Folder of the run, or None for no files.
    """

    # Files are drawn during training only if that takes at most this fraction of the time, 0.3 s per 15 s. The last
    # epoch's are always drawn.
    max_fraction = 0.02

    def __init__(self, folder: str | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.drawn, self.seconds = time.perf_counter(), 0.3

    def are_due(self) -> bool:
        """Return whether the files should be drawn again although training continues."""
        return self.folder is not None and time.perf_counter() - self.drawn > self.seconds / self.max_fraction

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Measure how long the pictures take that are drawn while the context is open."""
        start = time.perf_counter()
        yield
        self.drawn = time.perf_counter()
        self.seconds = self.drawn - start

    def save(self, name: str, pixels: Pixels) -> None:
        """Write a picture atomically to `<name>.png`, unless there is no folder."""
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.folder / f"{name}.png") as unfinished:
                Image.fromarray(pixels).save(unfinished)

    def remove(self, name: str) -> None:
        """Remove `<name>.png` of an earlier epoch, if there is one."""
        if self.folder is not None:
            (self.folder / f"{name}.png").unlink(missing_ok=True)


def render(figure: Figure) -> Pixels:
    """Return the pixels (H, W, 3) of a figure."""
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the font may lack the letters of a class name
        canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def draw_curves(trainer: L.Trainer) -> Figure | None:
    """Return the curves of all epochs, or None before the first one is done."""
    callbacks = trainer.callbacks
    return plot_curves(trainer) if any(getattr(callback, "epochs", ()) for callback in callbacks) else None


def draw_confusion_matrix(module: L.LightningModule, split: str) -> Figure:
    """Return the confusion matrix of the last evaluation of a split."""
    return plot_confusion_matrix(module.get_metrics(split).compute()["confusion_matrix"], get_class_labels(module))


def draw_top_losses(trainer: L.Trainer, dataset: ImageDataset | None, split: str, count: int) -> Figure | None:
    """Return the misclassified images of a split with the highest loss, or None if there are none.

    Args:
        trainer: The Trainer.
        dataset: The images of the split; without them, nothing can be drawn.
        split: "val" or "test".
        count: Largest number of images, above 0.
    """
    module = trainer.lightning_module
    errors = {name: values.cpu() for name, values in module.get_metrics(split).top_losses(count).items()}
    indices, losses = errors["index"].tolist(), errors["loss"].tolist()
    if not indices or not dataset:
        return None
    images, _ = dataset.__getitems__(indices)
    files = caption_files(trainer, dataset, indices)
    names = [f"{file}\n" for file in files] if files else [f"#{index}  " for index in indices]
    notes = [f"{name}{loss:.1f}" for name, loss in zip(names, losses, strict=True)]
    title = f"highest-loss errors: predicted, true class, {'file' if files else 'index'}, loss"
    return plot_images(images, errors["label"], get_class_labels(module), errors["prediction"], notes, title)


def caption_files(trainer: L.Trainer, dataset: ImageDataset | None, indices: list[int]) -> list[str] | None:
    """Return the captions with the files of images, or None if the images are not from files."""
    names = [get_file_name(trainer, dataset, index) for index in indices]
    return [caption_file(name or "") for name in names] if any(names) else None
