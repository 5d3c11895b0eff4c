"""TensorBoard output in addition to scalars: the chart layout, HPARAMS, images and the network's graph."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import ClassVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor

from classifier.callbacks.layout import write_layout
from classifier.callbacks.pictures import (
    PictureFiles,
    Pixels,
    caption_files,
    draw_confusion_matrix,
    draw_curves,
    draw_top_losses,
    render,
)
from classifier.callbacks.reporting import get_class_labels, get_reported_split, get_tensorboard_writers
from classifier.data.dataset import Batch
from classifier.errors import one_line, require
from classifier.plots import plot_images


class TensorBoardReporter(Callback):
    """Writes the chart layout and HPARAMS to TensorBoard and, optionally, pictures and the network's graph.

    The confusion matrix, the misclassified images with the highest loss and the curves are also written to the run's
    folder, as PNG files. It has no effect on the training.

    Args:
        pictures: Whether to draw pictures (training images, predictions, confusion matrix, errors, curves) and the
            graph.
        every: Interval in epochs at which predictions are drawn, above 0. They are also drawn after the last epoch.

    Raises:
        SettingError: `every` is not above 0.
    """

    state_key = "TensorBoardReporter"
    traced: ClassVar[set[str]] = set()  # networks whose graph this process has written
    num_images = 12  # per picture; a picture takes 0.1 s, most of it for the captions

    def __init__(self, pictures: bool = True, every: int = 10) -> None:
        require(every > 0, f"every must be above 0, not {every}")
        self.pictures, self.every = pictures, every

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write layout and HPARAMS, and prepare the images. A resumed run does not write its first images again."""
        self.writers = get_tensorboard_writers(trainer) if trainer.is_global_zero else []
        log_dir = trainer.log_dir if trainer.loggers else None  # which all processes have to ask together
        self.files = PictureFiles((log_dir or None) if trainer.is_global_zero and self.pictures else None)
        for writer in self.writers:
            write_layout(writer, trainer, pl_module)
        draws = self.pictures and bool(self.writers)
        self.split = get_reported_split(trainer)
        self.images = getattr(trainer.datamodule, "datasets", {}).get(self.split) if trainer.is_global_zero else None
        self.train_batches: list[Batch] = []
        self.num_missing = self.num_images if draws and trainer.current_epoch == 0 else 0
        self.predicted: tuple[list[int], Tensor, Tensor, Tensor] | None = None
        self.epochs_done = 0  # when the images of the split were last scored

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, _: int) -> None:
        """Store the first training images, after augmentation."""
        if self.num_missing > 0:
            images, labels = (part[: self.num_missing].to("cpu", copy=True) for part in batch)
            self.train_batches.append((images, labels))
            self.num_missing -= len(labels)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Predict the same images after every epoch, and draw the predictions every `every` epochs.

        During this hook, the training clock is stopped, and the network has the averaged weights.
        """
        if trainer.state.fn != "fit" or trainer.sanity_checking or not self.pictures:
            return
        self.epochs_done = trainer.current_epoch + 1
        if self.writers:
            with self._report_failures():
                self._draw_epoch(pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Update the files, if drawing them takes little time compared with the epochs since they were drawn."""
        if self.pictures and self.files.are_due():
            with self._report_failures():
                self._draw_results(trainer, pl_module, tensorboard=False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the last predictions, the confusion matrix, the highest-loss errors and the curves."""
        if not self.pictures:
            return
        with self._report_failures():
            if self.writers:
                self._draw_training_images(pl_module, trainer.current_epoch)
                self._draw_predictions(pl_module)
            self._draw_results(trainer, pl_module, tensorboard=True)

    def _draw_results(self, trainer: L.Trainer, module: L.LightningModule, tensorboard: bool) -> None:
        """Draw the curves, and the pictures of the last evaluation, to files and, if asked for, to TensorBoard."""
        if not (self.files.folder or (tensorboard and self.writers)):
            return
        with self.files.measure():
            if self.files.folder and (curves := draw_curves(trainer)):
                self.files.save("curves", render(curves))
            if not self.epochs_done or self.split not in module.evaluated_splits:
                return
            for name, figure in (
                ("confusion_matrix", draw_confusion_matrix(module, self.split)),
                ("top_losses", draw_top_losses(trainer, self.images, self.split, self.num_images)),
            ):
                if figure is None:
                    self.files.remove(name)
                elif tensorboard:
                    self.files.save(name, self.write(f"{name}/{self.split}", figure, self.epochs_done))
                else:
                    self.files.save(name, render(figure))

    @contextlib.contextmanager
    def _report_failures(self) -> Iterator[None]:
        """Turn an error while drawing into a warning, and draw no further images: training continues without them."""
        try:
            yield
        except Exception as error:  # matplotlib and TensorBoard can raise anything
            self.pictures = False
            rank_zero_warn(f"no more pictures are drawn: {type(error).__name__}: {one_line(error)}")

    def _draw_epoch(self, module: L.LightningModule) -> None:
        """Draw the training images after the first epoch, and predict the same images after every epoch."""
        self._draw_training_images(module, self.epochs_done)
        if self.images:
            # Spread evenly, because the images of a folder are sorted by class.
            indices = torch.linspace(0, len(self.images) - 1, self.num_images).long().unique().tolist()
            images, labels = self.images.__getitems__(indices)
            self.predicted = indices, images, labels, module.infer(images.to(module.device)).argmax(dim=1)
            if self.epochs_done % self.every == 0:
                self._draw_predictions(module)

    def _draw_training_images(self, module: L.LightningModule, epochs_done: int) -> None:
        """Write the first training images and the network's graph, if they are not written yet.

        A process writes the graph of a network only once, for the first of several runs, because PyTorch keeps 500 KB
        of every traced network until the process ends.
        """
        if not self.train_batches:
            return
        images, labels = (torch.cat(tensors) for tensors in zip(*self.train_batches, strict=True))
        self.train_batches = []
        self.write("images/train", plot_images(images, labels, get_class_labels(module)), epochs_done)
        if str(module.network) in self.traced:
            return
        self.traced.add(str(module.network))
        example = torch.zeros(1, *module.hparams.image_shape, dtype=module.mean.dtype, device=module.device)
        # PyTorch 2.15 deprecates the tracing that its own writer uses, which reports what it cannot trace.
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            for writer in self.writers:
                writer.add_graph(module.network, example)

    def _draw_predictions(self, module: L.LightningModule) -> None:
        """Write the latest predictions, if they are not written yet."""
        if self.predicted is None:
            return
        (indices, *parts), self.predicted = self.predicted, None
        images, labels, predictions = (part.cpu() for part in parts)
        wrong, files = int((predictions != labels).sum()), caption_files(module.trainer, self.images, indices)
        lines = "predicted class, true class, file;" if files else "predicted above true class,"
        title = f"epoch {self.epochs_done}: {lines} {wrong} of {len(labels)} wrong"
        figure = plot_images(images, labels, get_class_labels(module), predictions, files, title)
        self.write(f"predictions/{self.split}", figure, self.epochs_done)

    def write(self, tag: str, figure: Figure, epochs_done: int) -> Pixels:
        """Write a figure to TensorBoard under `tag`, at `epochs_done` on the x axis, and return its pixels."""
        pixels = render(figure)
        for writer in self.writers:
            writer.add_image(tag, pixels, epochs_done, dataformats="HWC")
        return pixels
