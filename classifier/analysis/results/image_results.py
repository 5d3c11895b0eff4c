"""The table that every number of a report comes from: one row per evaluated image."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class ImageResults:
    """The results of N evaluated images of C classes, one row per image, in the order of the dataset.

    Args:
        class_names: Names of the C classes in the order of their labels.
        names: N names: files, or indices such as "#12" for images that are not in files of their own.
        indices: Positions of the images in their dataset, int64 (N,).
        labels: True classes, int64 (N,).
        predictions: Predicted classes, int64 (N,).
        losses: Cross-entropy of every image, float64 (N,).
        probabilities: Probabilities of the classes, float32 (N, C), from 0 to 1.
        trained: Bool mask (N,) of the images that the network was trained on, or None if that is not known.
    """

    class_names: tuple[str, ...]
    names: tuple[str, ...]
    indices: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    losses: np.ndarray
    probabilities: np.ndarray
    trained: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def correct(self) -> np.ndarray:
        """Bool mask (N,) of the images that were classified correctly."""
        return self.predictions == self.labels

    def select(self, rows: np.ndarray) -> "ImageResults":
        """Return the results of some images: a bool mask (N,), or row numbers (M,) in any order."""
        columns = ("indices", "labels", "predictions", "losses", "probabilities")
        selected = {column: getattr(self, column)[rows] for column in columns}
        names = tuple(np.asarray(self.names, dtype=object)[rows])
        trained = None if self.trained is None else self.trained[rows]
        return replace(self, names=names, trained=trained, **selected)
