"""Loss, accuracy and confusion matrix of a whole data set, gathered at the cost of a list."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric


class Scores(Metric):
    """Mean cross-entropy and confusion matrix of one pass over a data set, exact on any number of processes.

    A step only keeps its logits and labels: they are scored a few thousand images at a time, because a metric's
    `update` takes 80 us, and a whole training step of the small networks 1,500.

    Args:
        num_classes: Number of classes C.
    """

    full_state_update = False
    images_kept = 4096  # at 1,000 classes 16 MB of logits

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.kept: list[tuple[Tensor, Tensor]] = []
        self.num_kept = 0
        self.add_state("loss_sum", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(num_classes, num_classes, dtype=torch.long), dist_reduce_fx="sum")

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Keep logits (N, C) and labels (N,) of one batch for scoring."""
        self.kept.append((logits.detach(), labels))
        self.num_kept += len(labels)
        if self.num_kept >= self.images_kept:
            self.score_kept()

    def score_kept(self) -> None:
        """Score the batches kept so far."""
        if self.num_kept:
            logits, labels = (torch.cat(tensors) for tensors in zip(*self.kept, strict=True))
            self.update(logits, labels)
        self.kept, self.num_kept = [], 0

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Score logits (N, C) against labels (N,)."""
        self.loss_sum += F.cross_entropy(logits.float(), labels, reduction="sum")
        # torchmetrics' own confusion matrix counts with bincount, for which a GPU has to wait.
        cells = labels * self.num_classes + logits.argmax(dim=1)
        self.counts.view(-1).index_add_(0, cells, torch.ones_like(cells))

    def compute(self) -> dict[str, Tensor]:
        """Return `loss` and `accuracy` (scalars), `per_class` accuracy (C,) and `counts` (C true, C predicted)."""
        return {
            "loss": self.loss_sum / self.counts.sum(),
            "accuracy": self.counts.trace() / self.counts.sum(),
            "per_class": self.counts.diag() / self.counts.sum(dim=1),
            "counts": self.counts,
        }

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self.kept, self.num_kept = [], 0
