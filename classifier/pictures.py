"""Pictures of images, confusion matrices and curves: figures for a notebook, and a callback for TensorBoard."""

import contextlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure  # without pyplot, which would keep every figure
from torch import Tensor
from torchvision.utils import make_grid

from classifier.callbacks import SPLITS, get_tensorboard_writers, name_classes
from classifier.errors import UserError, require
from classifier.loading import Batch

TILE = 112  # pixels: four side by side, and the names below, are legible at the width that TensorBoard first shows
FRAME = 5
LINE = 20  # pixels from one line of a caption to the next
DARK, GREY, RED = "0.1", 0.85, (0.84, 0.1, 0.1)


def make_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in pixels, white on a dark page, too."""
    return Figure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")


def shorten(name: str, length: int) -> str:
    """Return a name of at most `length` characters."""
    return name if len(name) <= length else name[: length - 1] + "…"


def make_tiles(images: Tensor) -> Tensor:
    """Return images as RGB in [0, 1], enlarged by a whole factor or reduced to at most TILE pixels."""
    images = images.detach().cpu()
    images = (images / 255 if images.dtype == torch.uint8 else images.float()).clamp(0, 1)
    side = max(images.shape[2:])
    scale = TILE // side or TILE / side
    images = F.interpolate(images, [max(1, int(length * scale)) for length in images.shape[2:]], mode="area")
    return images[:, :3] if images.shape[1] >= 3 else images[:, :1].expand(-1, 3, -1, -1)


def plot_images(
    images: Tensor,
    labels: Tensor,
    class_names: Sequence[str],
    predictions: Tensor | None = None,
    notes: Sequence[str] | None = None,
    title: str = "",
    columns: int = 4,
) -> Figure:
    """Return a figure of images with their class below each and, where given, the predicted class above it.

    Wrong predictions have a red frame and red names.

    Args:
        images: Images (N, C, H, W), uint8 or float in [0, 1], of any size; N above 0.
        labels: True classes (N,).
        class_names: Names of the classes in the order of their labels.
        predictions: Predicted classes (N,).
        notes: One more line below each image.
        title: Line above all images.
        columns: Number of images side by side.
    """
    tiles = make_tiles(images)
    count, _, height, width = tiles.shape
    classes = [part.cpu() for part in (predictions, labels) if part is not None]
    wrong = classes[0] != classes[-1]
    # Frames are painted, because matplotlib takes longer for many rectangles or axes than for one picture.
    cells = torch.ones(count, 3, height + 2 * FRAME + (len(classes) + bool(notes)) * LINE + LINE // 2, TILE + 4 * FRAME)
    left = (cells.shape[3] - width) // 2
    framed = cells[:, :, : height + 2 * FRAME, left - FRAME : left + width + FRAME]
    framed[:] = GREY
    framed[wrong] = torch.tensor(RED).view(3, 1, 1)
    framed[:, :, FRAME:-FRAME, FRAME:-FRAME] = tiles
    head = 3 * LINE // 2 if title else FRAME
    grid = F.pad(make_grid(cells, nrow=columns, padding=0, pad_value=1.0), (0, 0, head, 0), value=1.0)

    figure = make_figure(grid.shape[2], grid.shape[1])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(grid.permute(1, 2, 0).numpy(), aspect="auto", interpolation="nearest")
    style = {"ha": "center", "va": "top", "parse_math": False}
    axes.text(grid.shape[2] / 2, LINE // 4, title, color=DARK, fontsize=11, **style)
    for i in range(count):
        caption = [shorten(class_names[int(part[i])], 12) for part in classes] + ([notes[i]] if notes else [])
        x, y = (i % columns + 0.5) * cells.shape[3], head + i // columns * cells.shape[2] + framed.shape[2] + 2
        axes.text(x, y, "\n".join(caption), color=RED if wrong[i] else DARK, fontsize=12, **style)
    return figure


def plot_confusion_matrix(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """Return a figure of a confusion matrix, shaded by the share of each true class.

    Up to 20 classes it shows the counts, from 100 on not every name.

    Args:
        counts: Numbers of images (C true, C predicted).
        class_names: Names of the C classes in the order of their labels.
    """
    counts = counts.cpu()
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    size, right, total = len(counts), int(counts.trace()), int(counts.sum())
    small = size <= 20
    names = [shorten(name, 14) for name in class_names]
    side = min(max(38 * size, 340), 1000)  # pixels
    margin = 45 + (10 if small else 6) * max(len(name) for name in names)
    width, height = margin + side + 10, margin + side + 35
    figure = make_figure(width, height)
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_title(f"{right:,} of {total:,} images right ({right / max(total, 1):.1%})", fontsize=12)
    axes.set_xlabel("predicted class", fontsize=12)
    axes.set_ylabel("true class", fontsize=12)
    ticks = range(0, size, -(-size // 100))
    for axis, rotation in ((axes.xaxis, 90), (axes.yaxis, 0)):
        style = {"rotation": rotation, "fontsize": 11 if small else 7, "parse_math": False}
        axis.set_ticks(ticks, [names[i] for i in ticks], **style)
    for true, predicted in counts.nonzero().tolist() if small else ():
        number, color = int(counts[true, predicted]), "white" if shares[true, predicted] > 0.5 else DARK
        style = {"ha": "center", "va": "center", "fontsize": 11 if number < 1000 else 8}
        axes.text(predicted, true, str(number), color=color, **style)
    return figure


def plot_curves(run: str | Path) -> Figure:
    """Return a figure of loss and accuracy of every epoch of a run.

    Args:
        run: Folder of a run that has a `results.json`.

    Raises:
        ValueError: When there is none.
    """
    file = Path(run, "results.json")
    if not file.is_file():
        raise UserError(f"there is no {file}: give the folder of a run that was trained with RunRecord")
    results = json.loads(file.read_text())
    figure = make_figure(900, 360)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, color in zip(SPLITS, ("C0", "C2", "C1"), strict=True):
            tag = f"{name}/{split}"
            if points := [(epoch["epoch"], epoch[tag]) for epoch in results["epochs"] if epoch.get(tag) is not None]:
                axes.plot(*zip(*points, strict=True), color=color, marker=".", label=f"{split} {points[-1][1]:.4g}")
        axes.set_xlabel("epochs done")
        axes.set_title(f"{name} of {results['model']} on {results['data']}", fontsize=11)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.subplots_adjust(0.06, 0.13, 0.98, 0.92)
    return figure


class Pictures(Callback):
    """Writes pictures of the training images, of predictions and mistakes, and the network's graph for TensorBoard.

    Does nothing without a TensorBoardLogger, and never changes what is trained.

    Args:
        every: Predictions are drawn after every `every`-th epoch and after the last; above 0.

    Raises:
        ValueError: When `every` is not above 0.
    """

    num_images = 12  # in a picture; one takes 0.1 s, most of it for the names

    def __init__(self, every: int = 10) -> None:
        require(every > 0, f"every must be above 0, not {every}")
        self.every = every

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start anew; a resumed run has its graph and its training images already."""
        self.writers = get_tensorboard_writers(trainer) if trainer.is_global_zero else []
        self.test_images = getattr(trainer.datamodule, "datasets", {}).get("test")
        self.train_batches: list[Batch] = []
        self.missing = self.num_images if self.writers and trainer.current_epoch == 0 else 0
        self.predicted: tuple[Tensor, Tensor, Tensor] | None = None
        self.epochs_done = 0  # when the test images were last scored

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, _: int) -> None:
        """Keep the first training images as the network gets them, augmented if they are."""
        if self.missing:
            images, labels = (part[: self.missing].to("cpu", copy=True) for part in batch)
            self.train_batches.append((images, labels))
            self.missing -= len(labels)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Predict the same test images anew, and draw what is due.

        Here the clock of training stands still, and averaged weights are in place.
        """
        if trainer.state.fn != "fit" or trainer.sanity_checking or not self.writers:
            return
        self.epochs_done = trainer.current_epoch + 1
        self.draw_start(pl_module, self.epochs_done)
        if self.test_images:
            # Evenly spread, as the images of a folder come class by class.
            indices = torch.linspace(0, len(self.test_images) - 1, self.num_images).long().unique()
            images, labels = self.test_images.__getitems__(indices.tolist())
            self.predicted = images, labels, pl_module.infer(images.to(pl_module.device)).argmax(dim=1)
            if self.epochs_done % self.every == 0:
                self.draw_predictions(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the predictions after the last epoch, the confusion matrix and the costliest mistakes."""
        self.draw_start(pl_module, trainer.current_epoch)
        self.draw_predictions(pl_module)
        if not self.epochs_done or "test" not in pl_module.evaluated_splits:
            return
        scores, names = pl_module.test_scores.compute(), name_classes(pl_module)
        self.write("confusion_matrix/test", plot_confusion_matrix(scores["counts"], names), self.epochs_done)
        mistakes = scores["mistakes"][: self.num_images].cpu()
        if self.test_images and len(mistakes):
            indices, labels, guesses = mistakes[:, 1:].long().T
            images, _ = self.test_images.__getitems__(indices.tolist())
            notes = [f"#{index}  {loss:.1f}" for index, loss in zip(indices.tolist(), mistakes[:, 0], strict=True)]
            title = "costliest mistakes: predicted, true class, index, loss"
            self.write("mistakes/test", plot_images(images, labels, names, guesses, notes, title), self.epochs_done)

    def draw_start(self, module: L.LightningModule, epochs_done: int) -> None:
        """Write the first training images and the network's graph, unless that is done."""
        if not self.train_batches:
            return
        images, labels = (torch.cat(parts) for parts in zip(*self.train_batches, strict=True))
        self.train_batches = []
        self.write("images/train", plot_images(images, labels, name_classes(module)), epochs_done)
        example = torch.zeros(1, *module.hparams.image_shape, dtype=module.mean.dtype, device=module.device)
        # PyTorch 2.15 deprecates the tracing of its own writer, which says itself what it cannot trace.
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            for writer in self.writers:
                writer.add_graph(module.network, example)

    def draw_predictions(self, module: L.LightningModule) -> None:
        """Write the latest predictions, unless that is done."""
        if self.predicted is None:
            return
        images, labels, predictions = (part.cpu() for part in self.predicted)
        self.predicted, wrong = None, int((predictions != labels).sum())
        title = f"epoch {self.epochs_done}: predicted above true class, {wrong} of {len(labels)} wrong"
        figure = plot_images(images, labels, name_classes(module), predictions, title=title)
        self.write("predictions/test", figure, self.epochs_done)

    def write(self, tag: str, figure: Figure, epochs_done: int) -> None:
        """Write a figure to TensorBoard."""
        canvas = FigureCanvasAgg(figure)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class may have a name in letters that the font lacks
            canvas.draw()
        for writer in self.writers:
            writer.add_image(tag, np.asarray(canvas.buffer_rgba())[..., :3], epochs_done, dataformats="HWC")
