"""Loss, accuracy, confusion matrix and mistakes of a whole data set, gathered at the cost of a list."""

import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric


def pick_costliest(mistakes: Tensor) -> Tensor:
    """Return the mistakes (M, 4) with the highest loss among those of all processes (P, M, 4)."""
    losses = mistakes[..., 0].flatten()
    return mistakes.flatten(0, 1)[losses.argsort(descending=True, stable=True)[: mistakes.shape[1]]]


class Scores(Metric):
    """Mean cross-entropy and confusion matrix of one pass over a data set, exact on any number of processes.

    A step only keeps its logits and labels: they are scored 64 batches or some 4,096 images at a time, because a
    metric's `update` takes 80 us, and a whole training step of the small networks 1,400.

    Args:
        num_classes: Number of classes C.
        num_mistakes: Number of mistakes M to keep, those with the highest loss.
    """

    full_state_update = False
    images_kept = 4096  # at 1,000 classes 16 MB of logits
    # Logits kept over many steps fragment the heap: at batches of 4, malloc then asks the system for up to 0.7 MB of
    # new memory a step, a fifth of the step.
    batches_kept = 64

    def __init__(self, num_classes: int, num_mistakes: int = 0) -> None:
        super().__init__()
        self.num_classes, self.num_mistakes = num_classes, num_mistakes
        self.kept: list[tuple[Tensor, Tensor]] = []
        self.num_seen = 0
        self.add_state("loss_sum", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(num_classes, num_classes, dtype=torch.long), dist_reduce_fx="sum")
        if num_mistakes:  # columns: loss, index, label and predicted class
            self.add_state("mistakes", torch.full((num_mistakes, 4), -math.inf), dist_reduce_fx=pick_costliest)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Keep logits (N, C) and labels (N,) of one batch for scoring."""
        self.kept.append((logits.detach(), labels))
        if len(self.kept) >= self.batches_kept or len(self.kept) * len(labels) >= self.images_kept:
            self.score_kept()

    def score_kept(self) -> None:
        """Score the batches kept so far."""
        if self.kept:
            logits, labels = (torch.cat(tensors) for tensors in zip(*self.kept, strict=True))
            self.update(logits, labels)
            self.kept = []

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Score logits (N, C) against labels (N,)."""
        log_probabilities = logits.float().log_softmax(dim=1)
        self.loss_sum += F.nll_loss(log_probabilities, labels, reduction="sum")
        # torchmetrics' own confusion matrix counts with bincount, for which a GPU has to wait.
        predicted = logits.argmax(dim=1)
        cells = labels * self.num_classes + predicted
        self.counts.view(-1).index_add_(0, cells, torch.ones_like(cells))
        if self.num_mistakes:
            losses = F.nll_loss(log_probabilities, labels, reduction="none")
            losses = losses.masked_fill(predicted == labels, -math.inf)
            # Images in order are dealt to the processes in turn.
            rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
            indices = torch.arange(self.num_seen, self.num_seen + len(labels), device=labels.device)
            rows = torch.stack((losses, indices * processes + rank, labels, predicted), dim=1)
            self.mistakes = pick_costliest(torch.cat((self.mistakes, rows))[None])[: self.num_mistakes]
            self.num_seen += len(labels)

    def compute(self) -> dict[str, Tensor]:
        """Return what is known of all images.

        `loss` and `accuracy` are scalars, `per_class` is the accuracy (C,), `counts` (C true, C predicted). `mistakes`
        (at most M, 4) are loss, index, label and predicted class of the costliest, if images are scored in order.
        """
        mistakes = self.mistakes if self.num_mistakes else torch.empty(0, 4)
        return {
            "loss": self.loss_sum / self.counts.sum(),
            "accuracy": self.counts.trace() / self.counts.sum(),
            "per_class": self.counts.diag() / self.counts.sum(dim=1),
            "counts": self.counts,
            "mistakes": mistakes[mistakes[:, 0] != -math.inf],
        }

    def reset(self) -> None:
        """Forget all images."""
        super().reset()
        self.kept, self.num_seen = [], 0
