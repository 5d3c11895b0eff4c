"""Figures of images, confusion matrices and curves, for a notebook or TensorBoard."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure  # without pyplot, which would keep every figure in memory
from torch import Tensor
from torchvision.utils import make_grid

from classifier.errors import UserError, make_printable
from classifier.files import read_mapping

if TYPE_CHECKING:
    import lightning as L

TILE = 112  # pixels per image: four fit side by side, with legible captions, in the width that TensorBoard shows first
FRAME = 5  # pixels
LINE = 20  # pixels from one line of a caption to the next
CAPTION = 12  # characters in a line of a caption
CURVES = ("loss", "accuracy")
COLORS = {"train": "C0", "val": "C2", "test": "C1"}  # of matplotlib's default cycle
DARK, GREY, RED = "0.1", 0.85, (0.84, 0.1, 0.1)


class NotebookFigure(Figure):
    """A figure that a notebook shows as a picture without `%matplotlib inline`."""

    def _repr_png_(self) -> bytes:
        """Return the figure as PNG, for IPython."""
        output = io.BytesIO()
        self.savefig(output, format="png")
        return output.getvalue()


def make_figure(width: float, height: float) -> Figure:
    """Return an empty figure with a white background; `width` and `height` are in pixels."""
    return NotebookFigure(figsize=(width / 100, height / 100), dpi=100, facecolor="white")


def truncate(name: str, length: int) -> str:
    """Shorten a name to at most `length` characters, the last of which is then an ellipsis."""
    return name if len(name) <= length else name[: length - 1] + "…"


def caption_file(path: str) -> str:
    """Return the name of a file for a caption: its end, because the beginnings of names are often the same."""
    name = make_printable(Path(path).name)
    return name if len(name) <= CAPTION else "…" + name[1 - CAPTION :]


def make_tiles(images: Tensor) -> Tensor:
    """Return float RGB images (N, 3, height, width) in [0, 1], resized for a figure.

    They are enlarged by an integer factor, or reduced, so that the longer side has at most TILE pixels.

    Args:
        images: Images (N, C, H, W), uint8 or float in [0, 1]. Of more than three channels, the first three are used.
    """
    images = images.detach().cpu()
    images = (images / 255 if images.dtype == torch.uint8 else images.float()).clamp(0, 1)
    side = max(images.shape[2:])
    scale = TILE // side or TILE / side
    images = F.interpolate(images, [max(1, int(length * scale)) for length in images.shape[2:]], mode="area")
    return images[:, :3] if images.shape[1] >= 3 else images[:, :1].expand(-1, 3, -1, -1)


def plot_images(
    images: Tensor,
    labels: Tensor | None = None,
    class_names: Sequence[str] | None = None,
    predictions: Tensor | None = None,
    notes: Sequence[str] | None = None,
    title: str = "",
    columns: int = 4,
) -> Figure:
    """Return a figure of images. Each caption shows the predicted class above the true class, if they are given.

    Images with a wrong prediction have a red frame and a red caption.

    Args:
        images: Images (N, C, H, W), uint8 or float in [0, 1], of any size; N above 0.
        labels: Indices of the true classes, an int64 tensor (N,), or None.
        class_names: Names of the classes in the order of their labels; None shows the indices.
        predictions: Indices of the predicted classes, an int64 tensor (N,), or None.
        notes: N texts of one or more additional lines for the captions, or None.
        title: Title of the figure.
        columns: Number of images per row, above 0.
    """
    tiles = make_tiles(images)
    count, _, height, width = tiles.shape
    classes = [column.cpu() for column in (predictions, labels) if column is not None]
    wrong = classes[0] != classes[-1] if classes else torch.zeros(count, dtype=torch.bool)
    # The frames are pixels, because matplotlib draws one picture faster than many rectangles or axes.
    num_lines = len(classes) + (1 + max(note.count("\n") for note in notes) if notes else 0)
    cells = torch.ones(count, 3, height + 2 * FRAME + num_lines * LINE + LINE // 2, TILE + 4 * FRAME)
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
    style: dict[str, Any] = {"ha": "center", "va": "top", "parse_math": False}
    axes.text(grid.shape[2] / 2, LINE // 4, title, color=DARK, fontsize=11, **style)
    for i in range(count):
        labels_of_image = [int(column[i]) for column in classes]
        shown = [class_names[label] if class_names is not None else str(label) for label in labels_of_image]
        caption = [truncate(name, CAPTION) for name in shown] + ([notes[i]] if notes else [])
        x, y = (i % columns + 0.5) * cells.shape[3], head + i // columns * cells.shape[2] + framed.shape[2] + 2
        axes.text(x, y, "\n".join(caption), color=RED if wrong[i] else DARK, fontsize=12, **style)
    return figure


def plot_confusion_matrix(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """Return a figure of a confusion matrix; the colour shows the fraction of the images of a true class.

    Counts are shown for up to 20 classes. With more than 100 classes, only some of the class names are shown.

    Args:
        counts: Numbers of images, an int64 tensor (C, C) with true classes as rows and predicted classes as columns.
        class_names: Names of the C classes in the order of their labels.
    """
    counts = counts.cpu()
    fractions = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
    size, correct, total = len(counts), int(counts.trace()), int(counts.sum())
    small = size <= 20
    names = [truncate(name, 14) for name in class_names]
    side = min(max(38 * size, 340), 1000)  # pixels
    margin = 45 + (10 if small else 6) * max(len(name) for name in names)
    width, height = margin + side + 10, margin + side + 35
    figure = make_figure(width, height)
    axes = figure.add_axes((margin / width, margin / height, side / width, side / height))
    axes.imshow(fractions.numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_title(f"{correct:,} of {total:,} images correct ({correct / max(total, 1):.1%})", fontsize=12)
    axes.set_xlabel("predicted class", fontsize=12)
    axes.set_ylabel("true class", fontsize=12)
    ticks = range(0, size, -(-size // 100))
    for axis, rotation in ((axes.xaxis, 90), (axes.yaxis, 0)):
        style: dict[str, Any] = {"rotation": rotation, "fontsize": 11 if small else 7, "parse_math": False}
        axis.set_ticks(ticks, [names[i] for i in ticks], **style)
    for true, predicted in counts.nonzero().tolist() if small else ():
        number, color = int(counts[true, predicted]), "white" if fractions[true, predicted] > 0.5 else DARK
        style = {"ha": "center", "va": "center", "fontsize": 11 if number < 1000 else 8}
        axes.text(predicted, true, str(number), color=color, **style)
    return figure


def plot_curves(run: "str | Path | L.Trainer") -> Figure:
    """Return a figure of the loss and the accuracy against the epoch.

    Args:
        run: Folder of a run with a `results.json`, or a Trainer that has trained a network of this package.

    Raises:
        UserError: There is no such file, it is damaged, or the Trainer has trained no such network.
    """
    names, epochs = read_epochs(run) if isinstance(run, (str, Path)) else get_epochs(run)
    figure = make_figure(900, 360)
    for axes, name in zip(figure.subplots(1, 2), CURVES, strict=True):
        for split, color in COLORS.items():
            tag = f"{name}/{split}"
            if points := [(epoch["epoch"], epoch[tag]) for epoch in epochs if epoch.get(tag) is not None]:
                axes.plot(*zip(*points, strict=True), color=color, marker=".", label=f"{split} {points[-1][1]:.4g}")
        axes.set_xlabel("epochs done")
        axes.set_title(f"{name} of {names}", fontsize=11)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.subplots_adjust(0.06, 0.13, 0.98, 0.92)
    return figure


def read_epochs(run: str | Path) -> tuple[str, list[dict[str, Any]]]:
    """Return what was trained on which data, and the epochs in the `results.json` of a run.

    Raises:
        UserError: There is no such file, or it is damaged.
    """
    file = Path(run, "results.json")
    if not file.is_file():
        raise UserError(f"there is no {file}: give the folder of a run that was trained with ResultsRecorder")
    results = read_mapping(file)
    epochs = results.get("epochs")
    if not isinstance(epochs, list) or not all(map(is_plottable, epochs)):
        raise UserError(f"{make_printable(file)} is damaged: it has no metrics of epochs")
    return f"{results.get('model')} on {results.get('data')}", epochs


def is_plottable(epoch: Any) -> bool:
    """Return whether the record of an epoch has a number, and metrics that are numbers or None."""
    numbers = int | float | None
    return (
        isinstance(epoch, dict)
        and isinstance(epoch.get("epoch"), int)
        and all(isinstance(epoch.get(f"{name}/{split}"), numbers) for name in CURVES for split in COLORS)
    )


def get_epochs(trainer: "L.Trainer") -> tuple[str, list[dict[str, Any]]]:
    """Return what a Trainer has trained on which data, and the metrics of its epochs.

    ResultsRecorder also has the epochs before the run was resumed; EpochMetrics is in every Trainer.

    Raises:
        UserError: It has trained no network of this package.
    """
    records = [callback.epochs for callback in getattr(trainer, "callbacks", ()) if hasattr(callback, "epochs")]
    if not any(records):
        raise UserError("plot_curves needs the folder of a run, or a Trainer after its fit method")
    module, data = trainer.lightning_module, getattr(trainer, "datamodule", None)
    names = [type(part).__name__ for part in (module, data) if part is not None]
    return " on ".join(names), max(records, key=len)
