"""Base class of all networks: a LightningModule with the steps, the optimizer and the callbacks."""

import inspect
import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from classifier.callbacks.averaging import Lookahead
from classifier.callbacks.epoch_metrics import insert_epoch_metrics
from classifier.callbacks.own_metrics import OwnMetrics
from classifier.data.dataset import Batch
from classifier.errors import require
from classifier.hparams import (
    FRACTION,
    IMAGE_SHAPE,
    LIMITS_FROM_DATA,
    NOT_NEGATIVE,
    POSITIVE,
    UNIT_INTERVAL,
    Limit,
    to_builtin_types,
)
from classifier.models.checkpoint_hooks import CheckpointableModule
from classifier.models.checks import DEFAULTS_FROM_DATA, check_data
from classifier.models.metrics import ClassificationMetrics
from classifier.models.normalisation import InputNormalisation
from classifier.models.optimization import SGD_ARGS, Schedule, get_lr_factor
from classifier.models.tta import TestTimeAugmentation, average_views


class ImageClassifier(InputNormalisation, CheckpointableModule, ABC):
    """Base class of all networks. A subclass implements `build_network` and, if it adds arguments, a constructor.

    The input is uint8 images, or float images in [0, 1]; the network normalises them. If `mean`, `std` or `class_names`
    is None, it is taken from the data module when a Trainer starts, and is stored in the checkpoint.

    Args:
        image_shape: Channels, height and width of an image in pixels, each above 0.
        num_classes: Number of classes, at least 2.
        lr: Learning rate of SGD, above 0; with a warm-up or a schedule, the highest learning rate.
        momentum: Momentum of SGD, from 0 to below 1.
        weight_decay: Weight decay (L2 penalty) of SGD, at least 0.
        nesterov: Whether to use Nesterov momentum; requires a momentum above 0.
        label_smoothing: Fraction of the target probability that is spread over all classes, from 0 to below 1.
        lr_schedule: Learning rate after the warm-up, set in every step: constant, or a linear or cosine decay to
            `lr_end` at the last step.
        lr_warmup: Fraction of all steps during which the learning rate rises linearly; from 0 (none) to below 1.
        lr_start: Learning rate at the start of the warm-up, as a fraction of `lr`; from 0 to 1.
        lr_end: Learning rate at the end of a linear or cosine decay, as a fraction of `lr`; from 0 to 1.
        ema_decay: Decay per step of an exponential moving average of the weights, from 0 (no average) to below 1. The
            average is evaluated, and a checkpoint contains both the average and the weights in training.
        lookahead: Interval in steps at which the weights are replaced by their moving average; 0 for no replacement.
            It cannot be combined with `ema_decay`.
        tta: Test-time augmentation, which averages logits over views of an image. none: the image alone. mirror: also
            its mirror image. mirror_and_shift: also these two, shifted by one pixel up and left, and down and right.
        channels_last: Whether to use the channels_last memory format, which is faster with many channels.
        mean: Mean that is subtracted from pixels in [0, 1]; one number per channel, or one for all channels.
        std: Standard deviation that pixels are then divided by, above 0; one number per channel, or one for all.
        class_names: Names of the classes in the order of their labels.

    Raises:
        SettingError: An argument is out of range, or the Trainer's data module has other image shapes or classes.
    """

    network: nn.Module
    limits: ClassVar[dict[str, Limit]] = {
        "image_shape": IMAGE_SHAPE,
        "num_classes": ("at least 2", lambda count: count >= 2),
        "lr": POSITIVE,
        "momentum": FRACTION,
        "weight_decay": NOT_NEGATIVE,
        "label_smoothing": FRACTION,
        "lr_warmup": FRACTION,
        "lr_start": UNIT_INTERVAL,
        "lr_end": UNIT_INTERVAL,
        "ema_decay": FRACTION,
        "lookahead": NOT_NEGATIVE,
        **LIMITS_FROM_DATA,
    }
    largest: ClassVar[dict[str, int]] = {"image_shape": 5000, "num_classes": 100_000, "lookahead": 10**9}

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        label_smoothing: float = 0.0,
        lr_schedule: Schedule = "constant",
        lr_warmup: float = 0.0,
        lr_start: float = 0.0,
        lr_end: float = 0.0,
        ema_decay: float = 0.0,
        lookahead: int = 0,
        tta: TestTimeAugmentation = "none",
        channels_last: bool = False,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.check_hparams()
        require(momentum > 0 or not nesterov, "nesterov needs a momentum above 0")
        require(not (ema_decay and lookahead), "ema_decay and lookahead exclude each other")
        require(len(self.hparams.class_names or range(num_classes)) == num_classes, "class_names has another length")
        self.network = self.build_network()
        self.memory_format = torch.channels_last if channels_last else torch.preserve_format
        self.network.to(memory_format=self.memory_format)
        self.train_metrics = ClassificationMetrics(num_classes)
        self.val_metrics = ClassificationMetrics(num_classes, keep_images=True)
        self.test_metrics = ClassificationMetrics(num_classes, keep_images=True)
        self.own_metrics = OwnMetrics()
        self.evaluated_splits = ["val"]  # of each evaluation DataLoader; EpochMetrics sets them
        self.set_normalisation()

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Return the layers that map normalised float images (N, *image_shape) to logits (N, num_classes)."""

    def setup(self, stage: str) -> None:
        """Check the Trainer's data module against this network, and take normalisation and class names from it."""
        if self.trainer.precision == "64-true":
            self.double()  # Lightning converts the network only after loading a checkpoint, which would round it
        insert_epoch_metrics(self.trainer)  # not in configure_callbacks, which users override without calling super
        data = getattr(self.trainer, "datamodule", None)
        if hasattr(data, "class_names"):
            check_data(self, data)
            for name in DEFAULTS_FROM_DATA:
                if self.hparams[name] is None:
                    self.hparams[name] = to_builtin_types(getattr(data, name))
            self.set_normalisation()

    def forward(self, images: Tensor) -> Tensor:
        """Return unnormalised logits (N, num_classes) for images (N, C, H, W), uint8 or float in [0, 1]."""
        return self.network(self.normalise(images))

    def infer(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, C, H, W), averaged over the views of `tta`."""
        return average_views(self, images, self.hparams.tta)

    def get_metrics(self, split: str) -> ClassificationMetrics:
        """Return the ClassificationMetrics of the last pass over a split: "train", "val" or "test"."""
        return getattr(self, f"{split}_metrics")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss for images (N, C, H, W) and labels (N,)."""
        images, labels = batch
        logits = self(images)
        self.train_metrics.add(logits, labels)
        return self.compute_loss(logits, labels)

    def compute_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss that training minimises: the mean cross-entropy, with label smoothing.

        `loss/train`, `loss/val` and `loss/test` are always the cross-entropy without label smoothing.

        Args:
            logits: Unnormalised logits (N, num_classes), float.
            labels: Class indices (N,), int64.
        """
        return F.cross_entropy(logits, labels, label_smoothing=self.hparams.label_smoothing)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Evaluate a batch of validation images or, after an epoch of training, of test images."""
        self.get_metrics(self.evaluated_splits[dataloader_idx]).add(self.infer(batch[0]), batch[1])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Evaluate a batch of test images."""
        self.test_metrics.add(self.infer(batch[0]), batch[1])

    # Lightning inspects the signature in every step; with this attribute, it is not derived again: 1 to 2% of a step.
    for step in (training_step, validation_step, test_step):
        step.__signature__ = inspect.signature(step)  # type: ignore[union-attr]
    del step

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute.

        Lightning sets the name of the running hook 44 times per step. Storing it as a plain attribute, without
        checking whether it is a parameter, a buffer or a layer, saves 4% of a step.
        """
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Log a metric of your own, such as "f1/test", which is recorded and printed after the epoch.

        Raises:
            SettingError: Every network has a metric of this name.
        """
        self.own_metrics.add(name, type(self).__name__)
        super().log(name, value, *args, **kwargs)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return probabilities (N, num_classes) for images (N, C, H, W), or for a batch that starts with images."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self.infer(images).float().softmax(dim=1)

    def group_parameters(self) -> list[dict[str, Any]]:
        """Return the parameter groups for SGD. A group can set its own learning rate and weight decay."""
        return [{"params": list(self.parameters())}]

    def configure_optimizers(self) -> Any:
        """Return the SGD optimizer and, unless the learning rate is constant, its schedule."""
        h = self.hparams
        optimizer = torch.optim.SGD(self.group_parameters(), **{name: h[name] for name in SGD_ARGS})
        if h.lr_schedule == "constant" and not h.lr_warmup:
            return {"optimizer": optimizer}
        num_steps = self.trainer.estimated_stepping_batches
        require(math.isfinite(num_steps), "lr_schedule needs a limit on the run: set --trainer.max_epochs or max_steps")
        plan = (int(num_steps), h.lr_schedule, h.lr_warmup, h.lr_start, h.lr_end)
        scheduler = LambdaLR(optimizer, lambda step: get_lr_factor(step, *plan))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_callbacks(self) -> list[Callback]:
        """Return the weight-averaging callback, if the hyperparameters ask for one."""
        if self.trainer.state.fn != "fit":
            return []
        if self.trainer.precision == "64-true":
            self.double()  # before the average is made, which is a copy and takes part in training
        device = self.trainer.strategy.root_device
        if self.hparams.lookahead:
            return [Lookahead(self.hparams.lookahead, device=device)]
        return [EMAWeightAveraging(device, decay=self.hparams.ema_decay)] if self.hparams.ema_decay else []
