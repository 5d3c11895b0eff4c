"""Loss, accuracy, confusion matrix and scored images of one pass over a data set."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassConfusionMatrix


class ScoredImages(Metric):
    """A table with one row per scored image: index, label, prediction and loss."""

    full_state_update = False
    columns = ("index", "label", "prediction", "loss")

    def __init__(self) -> None:
        super().__init__()
        for column in self.columns:
            self.add_state(column, default=[], dist_reduce_fx="cat")

    def update(self, **columns: Tensor) -> None:
        """Append rows, given as one tensor (N,) per column."""
        for column in self.columns:
            getattr(self, column).append(columns[column])

    def compute(self) -> dict[str, Tensor]:
        """Return one tensor (N,) per column, with the rows of all processes in the order of their indices."""
        values = (getattr(self, column) for column in self.columns)
        table = {
            column: torch.cat(value) if isinstance(value, list) and value else torch.as_tensor(value)
            for column, value in zip(self.columns, values, strict=True)
        }
        order = table["index"].argsort()
        return {column: value[order] for column, value in table.items()}


class ClassificationMetrics(nn.Module):
    """Mean cross-entropy and confusion matrix of one pass over a data set, exact on any number of processes.

    A step only queues its logits and labels. They are scored 64 batches or about 4,096 images at a time, because one
    `update` of a metric takes 80 us, and a whole training step of the small networks 1,400.

    Args:
        num_classes: Number of classes C.
        keep_images: Whether to keep a table of the scored images.
    """

    max_pending_images = 4096  # 16 MB of logits at 1,000 classes
    # Logits that are queued for longer fragment the heap: at batches of 4, malloc then asks the system for up to 0.7 MB
    # of new memory per step, which takes a fifth of the step.
    max_pending_batches = 64

    def __init__(self, num_classes: int, keep_images: bool = False) -> None:
        super().__init__()
        self.confusion_matrix = MulticlassConfusionMatrix(num_classes, validate_args=False)
        self.loss_sum = SumMetric(nan_strategy="disable")  # a loss that is not finite must be seen
        self.scored_images = ScoredImages() if keep_images else None
        self.pending: list[tuple[Tensor, Tensor]] = []
        self.indices: Sequence[int] | None = None
        self.num_seen = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Queue the logits (N, C) and labels (N,) of one batch."""
        self.pending.append((logits.detach(), labels))
        pending = len(self.pending)
        if pending >= self.max_pending_batches or pending * len(labels) >= self.max_pending_images:
            self.flush()

    def flush(self) -> None:
        """Score the queued batches."""
        if not self.pending:
            return
        logits, labels = (torch.cat(tensors) for tensors in zip(*self.pending, strict=True))
        self.pending = []
        log_probabilities, predictions = logits.float().log_softmax(dim=1), logits.argmax(dim=1)
        self.loss_sum.update(F.nll_loss(log_probabilities, labels, reduction="sum"))
        self.confusion_matrix.update(predictions, labels)
        if self.scored_images is not None:
            first, self.num_seen = self.num_seen, self.num_seen + len(labels)
            indices = self.indices[first : self.num_seen] if self.indices else range(first, self.num_seen)
            self.scored_images.update(
                index=torch.tensor(indices, dtype=torch.long, device=labels.device),  # also if there are none
                label=labels,
                prediction=predictions,
                loss=F.nll_loss(log_probabilities, labels, reduction="none"),
            )

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics of every image added so far, on all processes together.

        Every process has to call this. A second call costs nothing until images are added.

        Returns:
            `loss`, `accuracy` and `num_images`, scalars; `accuracy_per_class` (C,), not a number for a class without
            images; and `confusion_matrix` (C true, C predicted).
        """
        self.flush()
        counts = self.confusion_matrix.compute()
        if self.scored_images is not None:
            self.scored_images.compute()  # while every process takes part; `top_losses` then needs none of them
        return {
            "loss": self.loss_sum.compute() / counts.sum(),
            "accuracy": counts.trace() / counts.sum(),
            "num_images": counts.sum(),
            "accuracy_per_class": counts.diag() / counts.sum(dim=1),
            "confusion_matrix": counts,
        }

    def top_losses(self, count: int) -> dict[str, Tensor]:
        """Return the `count` misclassified images with the highest loss, or all if there are fewer.

        Call `compute` first, on every process.

        Returns:
            `index`, `label`, `prediction` and `loss`, each (M,), highest loss first. An index is the position of an
            image in its data set or, if the loader is not that of an ImageDataModule, in the order of scoring.
        """
        if self.scored_images is None:
            raise RuntimeError("top_losses needs keep_images=True")
        # torchmetrics returns the column of a single image as a scalar.
        table = {column: values.reshape(-1) for column, values in self.scored_images.compute().items()}
        wrong = (table["label"] != table["prediction"]).nonzero().flatten()
        order = wrong[table["loss"][wrong].argsort(descending=True, stable=True)][:count]
        return {column: values[order] for column, values in table.items()}

    def synchronize(self) -> None:
        """Score the queued batches, and wait until the device has finished."""
        self.flush()
        self.loss_sum.sum_value.item()

    def reset(self, indices: Sequence[int] | None = None) -> None:
        """Forget all images.

        Args:
            indices: Positions in the data set of the images to come, in the order in which this process scores them.
        """
        for metric in (self.confusion_matrix, self.loss_sum, self.scored_images):
            if metric is not None:
                metric.reset()
        self.pending, self.indices, self.num_seen = [], indices, 0
