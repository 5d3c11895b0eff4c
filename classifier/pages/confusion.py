"""The confusion matrix: a table of few classes, a picture of many."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

MAX_TABLE = 20  # classes
COLOR = (31, 111, 208)  # that of the first series in the style sheet
LEVELS = 16  # of opacity in the picture


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Args:
        count: Number of images.
        opacity: Square root of their fraction of the true class, which makes rare confusions visible.
    """

    count: int
    opacity: float


@dataclass(frozen=True)
class ConfusionMatrix:
    """A confusion matrix as the page shows it: either rows of cells, or a picture with one pixel per cell."""

    rows: list[list[Cell]]
    uri: str | None


def show_confusions(counts: np.ndarray) -> ConfusionMatrix:
    """Return the confusion matrix for the page.

    Args:
        counts: Numbers of images, int64 (C, C), with true classes as rows and predicted classes as columns.
    """
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(counts) > MAX_TABLE:
        return ConfusionMatrix([], draw_fractions(fractions))
    rows = [
        [Cell(*cell) for cell in zip(*row, strict=True)]
        for row in zip(counts.tolist(), np.sqrt(fractions).tolist(), strict=True)
    ]
    return ConfusionMatrix(rows, None)


def draw_fractions(fractions: np.ndarray) -> str:
    """Return a PNG as a data URI, whose opacity is the square root of the fractions (C, C), from 0 to 1.

    The square root makes rare confusions visible.
    """
    levels = np.ceil(np.sqrt(fractions) * (LEVELS - 1)).astype(np.uint8)
    picture = Image.fromarray(levels).convert("L")
    picture = picture.convert("P")
    picture.putpalette(COLOR * LEVELS)
    buffer = io.BytesIO()
    opacity = bytes(255 * level // (LEVELS - 1) for level in range(LEVELS))
    picture.save(buffer, "PNG", transparency=opacity, bits=4, optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
