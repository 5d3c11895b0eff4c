"""Loss, accuracy, confusion matrix and per-image results of one pass over a dataset."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric, SumMetric
from torchmetrics.classification import MulticlassConfusionMatrix


class ScoredImages(Metric):
    """A table with one row per evaluated image: index, label and prediction (int64), and loss (float32).

    After `keep_probabilities`, it also has the column `probability`, float32 (N, C).
    """

    full_state_update = False
    columns: tuple[str, ...] = ("index", "label", "prediction", "loss")

    def __init__(self) -> None:
        super().__init__()
        for column in self.columns:
            self.add_state(column, default=[], dist_reduce_fx="cat")

    def keep_probabilities(self) -> None:
        """Add the column `probability`; the table must be empty."""
        if "probability" not in self.columns:
            self.columns = (*self.columns, "probability")
            self.add_state("probability", default=[], dist_reduce_fx="cat")

    def update(self, **columns: Tensor) -> None:
        """Append N rows; each keyword argument is a column, a tensor (N,) or (N, C)."""
        for column in self.columns:
            getattr(self, column).append(columns[column])

    def compute(self) -> dict[str, Tensor]:
        """Return one tensor per column, with the rows of all processes sorted by index."""
        values = (getattr(self, column) for column in self.columns)
        table = {
            column: torch.cat(value) if isinstance(value, list) and value else torch.as_tensor(value)
            for column, value in zip(self.columns, values, strict=True)
        }
        order = table["index"].argsort()
        return {column: value[order] for column, value in table.items()}


class ConfusionMatrix(MulticlassConfusionMatrix):
    """torchmetrics' confusion matrix, updated without `bincount`.

    In deterministic mode and on MPS, torchmetrics replaces `bincount` by a comparison that takes batch x C^2 memory:
    36 GB for 4,500 images of 1,000 classes.
    """

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count predicted classes (N,) and labels (N,), int64."""
        cells = target * self.num_classes + preds
        self.confmat.view(-1).index_add_(0, cells, torch.ones_like(cells))


class ClassificationMetrics(nn.Module):
    """Mean cross-entropy and confusion matrix of one pass over a dataset, exact for any number of processes.

    A step only queues its logits and labels. Metrics are updated for 64 batches or about 4,096 images at a time,
    because one update takes 80 us, and a training step of the MLP takes only 1,400 us.

    Args:
        num_classes: Number of classes C, at least 2.
        keep_images: Whether to store the results of every image, which `top_losses` requires.
    """

    max_pending_images = 4096  # 16 MB of logits at 1,000 classes
    # Logits that are queued for longer fragment the heap: at batches of 4, malloc then asks the system for up to 0.7 MB
    # of new memory per step, which takes a fifth of the step.
    max_pending_batches = 64

    def __init__(self, num_classes: int, keep_images: bool = False) -> None:
        super().__init__()
        self.confusion_matrix = ConfusionMatrix(num_classes, validate_args=False)
        self.loss_sum = SumMetric(nan_strategy="disable")  # a loss that is not finite must be seen
        self.scored_images = ScoredImages() if keep_images else None
        self.pending: list[tuple[Tensor, Tensor]] = []
        self.indices: Sequence[int] | None = None
        self.num_seen = 0
        # Sum of the losses and number of the images, without those of queued batches that were taken already.
        self.recent: tuple[float | Tensor, int] = (0.0, 0)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Queue the logits (N, C), float, and the labels (N,), int64, of one batch."""
        self.pending.append((logits.detach(), labels))
        pending = len(self.pending)
        if pending >= self.max_pending_batches or pending * len(labels) >= self.max_pending_images:
            self.flush()

    def flush(self) -> None:
        """Update the metrics with the queued batches."""
        if not self.pending:
            return
        logits, labels = (torch.cat(tensors) for tensors in zip(*self.pending, strict=True))
        self.pending = []
        log_probabilities, predictions = logits.float().log_softmax(dim=1), logits.argmax(dim=1)
        loss_sum = F.nll_loss(log_probabilities, labels, reduction="sum")
        self.loss_sum.update(loss_sum)
        self.recent = self.recent[0] + loss_sum, self.recent[1] + len(labels)
        self.confusion_matrix.update(predictions, labels)
        if self.scored_images is not None:
            first, self.num_seen = self.num_seen, self.num_seen + len(labels)
            indices = self.indices[first : self.num_seen] if self.indices else range(first, self.num_seen)
            self.scored_images.update(
                index=torch.tensor(indices, dtype=torch.long, device=labels.device),  # also if there are none
                label=labels,
                prediction=predictions,
                loss=F.nll_loss(log_probabilities, labels, reduction="none"),
                **({"probability": logits.float().softmax(dim=1)} if self.keeps_probabilities else {}),
            )

    def take_recent(self) -> tuple[Tensor, Tensor]:
        """Return the sum of the losses and the number of the images that were added since the last call.

        They are scalars, of this process only. Queued batches remain queued, so the metrics of the epoch do not depend
        on the calls, to the last bit.
        """
        queued: tuple[float | Tensor, int] = (0.0, 0)
        if self.pending:
            logits, labels = (torch.cat(tensors) for tensors in zip(*self.pending, strict=True))
            queued = F.cross_entropy(logits.float(), labels, reduction="sum"), len(labels)
        loss_sum, num_images = self.recent[0] + queued[0], self.recent[1] + queued[1]
        self.recent = -queued[0], -queued[1]
        device = self.loss_sum.sum_value.device
        return torch.as_tensor(loss_sum, device=device), torch.tensor(float(num_images), device=device)

    @property
    def keeps_probabilities(self) -> bool:
        """Whether the probabilities of every image are stored."""
        return self.scored_images is not None and "probability" in self.scored_images.columns

    def compute(self) -> dict[str, Tensor]:
        """Return the metrics of all images added so far on all processes.

        Every process has to call this. The result is cached until more images are added.

        Returns:
            A dict of tensors: the scalars `loss` (mean cross-entropy), `accuracy` (from 0 to 1) and `num_images`;
            `accuracy_per_class` (C,), NaN for a class without images; and the counts `confusion_matrix` (C, C), with
            true classes as rows and predicted classes as columns.
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

    def get_images(self) -> dict[str, Tensor]:
        """Return the results of every image on all processes, sorted by index.

        Every process has to call `compute` before this.

        Returns:
            A dict of tensors (N,): `index`, `label`, `prediction` and `loss`, and `probability` (N, C) if it is kept.
            An index is the position of an image in its dataset or, for a loader of no ImageDataModule, in the
            evaluation order.

        Raises:
            RuntimeError: `keep_images` is False.
        """
        if self.scored_images is None:
            raise RuntimeError("results of images need keep_images=True")
        # torchmetrics returns the column of a single image as a scalar.
        return {column: torch.atleast_1d(values) for column, values in self.scored_images.compute().items()}

    def top_losses(self, count: int) -> dict[str, Tensor]:
        """Return the misclassified images with the highest loss, at most `count`.

        Every process has to call `compute` before this.

        Returns:
            The columns of `get_images`, with at most `count` rows, sorted by decreasing loss.

        Raises:
            RuntimeError: `keep_images` is False.
        """
        table = self.get_images()
        wrong = (table["label"] != table["prediction"]).nonzero().flatten()
        order = wrong[table["loss"][wrong].argsort(descending=True, stable=True)][:count]
        return {column: values[order] for column, values in table.items()}

    def synchronize(self) -> None:
        """Wait until the device has finished all batches added so far."""
        self.loss_sum.sum_value.item()

    def get_state(self) -> dict[str, Any]:
        """Return the state of this process: the sums, and the queued batches, as tensors on the CPU."""
        return {
            "loss_sum": self.loss_sum.sum_value.cpu().clone(),
            "confusion_matrix": self.confusion_matrix.confmat.cpu().clone(),
            "pending": [(logits.cpu().clone(), labels.cpu().clone()) for logits, labels in self.pending],
            "recent": [float(value) for value in self.recent],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `get_state` returned. Only metrics without `keep_images` can be restored."""
        self.reset()
        device = self.loss_sum.sum_value.device
        self.loss_sum.update(state["loss_sum"].to(device))
        no_labels = torch.empty(0, dtype=torch.long, device=device)
        self.confusion_matrix.update(no_labels, no_labels)  # torchmetrics warns if a metric was never updated
        self.confusion_matrix.confmat += state["confusion_matrix"].to(device)
        self.pending = [(logits.to(device), labels.to(device)) for logits, labels in state["pending"]]
        loss_sum, num_images = state.get("recent", (0.0, 0))  # older checkpoints have none
        self.recent = loss_sum, int(num_images)

    def reset(self, indices: Sequence[int] | None = None) -> None:
        """Reset all metrics.

        Args:
            indices: Dataset indices of the images of the next pass, in the order in which this process evaluates them;
                None numbers them from 0.
        """
        for metric in (self.confusion_matrix, self.loss_sum, self.scored_images):
            if metric is not None:
                metric.reset()
        self.pending, self.indices, self.num_seen, self.recent = [], indices, 0, (0.0, 0)
