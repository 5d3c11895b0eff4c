"""The base of all networks: a LightningModule that holds step, logging and optimizer."""

import math
import os
import time
from abc import ABC, abstractmethod
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classifier.data import make_plain
from classifier.errors import SettingError, UserError, require
from classifier.loading import Batch
from classifier.scores import Scores


class ImageClassifier(L.LightningModule, ABC):
    """Base of all networks: a subclass defines `build_network` and, where it has options of its own, a constructor.

    Images may come as uint8 or as float in [0, 1]; they are normalised inside. What is not given here of `mean`,
    `std` and `class_names` is taken from the data module when a Trainer starts, and stays in the checkpoint.

    Args:
        image_shape: Channels, height and width of an image in pixels.
        num_classes: Number of classes, at least 2.
        lr: Learning rate of SGD, above 0.
        momentum: Momentum of SGD, from 0 to below 1.
        weight_decay: L2 penalty of SGD, at least 0.
        mean: What is subtracted from pixels in [0, 1], one number a channel or one for all.
        std: What pixels are divided by afterwards, one number a channel or one for all.
        class_names: Names of the classes in the order of their labels.

    Raises:
        ValueError: When an argument is out of its range, or when the data of a Trainer do not fit.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        num_classes: int = 10,
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.hparams.update(make_plain(self.hparams))
        require(
            len(image_shape) == 3 and min(image_shape) > 0,
            f"image_shape is (channels, height, width), each above 0, not {image_shape}",
        )
        require(num_classes >= 2, f"num_classes must be at least 2, not {num_classes}")
        require(lr > 0, f"lr must be above 0, not {lr}")
        require(0 <= momentum < 1, f"momentum must be from 0 to below 1, not {momentum}")
        require(weight_decay >= 0, f"weight_decay must be at least 0, not {weight_decay}")
        self.network = self.build_network()
        self.train_scores, self.val_scores = Scores(num_classes), Scores(num_classes)
        self.test_scores = Scores(num_classes, num_mistakes=20)
        self.evaluated_splits = ["val"]
        self.training_seconds = 0.0
        self.figures: dict[str, float] = {}  # what was logged in the epoch, for callbacks
        self.set_normalisation()

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, in a shorter way the one that Lightning sets 44 times a step: 5 % of a step of the MLP."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    @abstractmethod
    def build_network(self) -> nn.Module:
        """Return the plain network, from normalised images (N, *image_shape) to logits (N, num_classes)."""

    @property
    def hparams_initial(self) -> dict[str, Any]:
        """The hyperparameters as loggers get them: lists for tuples, which safe YAML cannot read."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self.hparams.items()}

    def set_normalisation(self) -> None:
        """Make `mean` and `std` of the hyperparameters the ones that `forward` uses."""
        for name, default in (("mean", 0.0), ("std", 1.0)):
            value = torch.tensor(self.hparams[name] or (default,), device=self.device)
            channels = self.hparams.image_shape[0]
            require(len(value) in (1, channels), f"{name} needs 1 or {channels} numbers, not {len(value)}")
            self.register_buffer(name, value.expand(channels).reshape(-1, 1, 1).clone(), persistent=False)
        require(bool((self.std > 0).all()), f"std must be above 0, not {self.hparams.std}")
        self.normalises = bool((self.mean != 0).any() or (self.std != 1).any())

    def setup(self, stage: str) -> None:
        """Check the Trainer's data module against this network and take normalisation and class names from it."""
        data = self.trainer.datamodule
        if not hasattr(data, "class_names"):
            return
        mine, theirs = ((tuple(o.image_shape), o.num_classes) for o in (self.hparams, data))
        name = type(self).__name__
        if mine != theirs:
            raise SettingError(
                f"{name} takes images {mine[0]} of {mine[1]} classes, {type(data).__name__} has images {theirs[0]} of "
                f"{theirs[1]} classes: make it {name}(image_shape={theirs[0]}, num_classes={theirs[1]})"
            )
        if self.hparams.class_names not in (None, tuple(data.class_names)):
            raise SettingError(
                f"{name} was trained to tell {', '.join(self.hparams.class_names)}; "
                f"{type(data).__name__} has {', '.join(data.class_names)}"
            )
        for key in ("mean", "std", "class_names"):
            if self.hparams[key] is None:
                self.hparams[key] = make_plain(getattr(data, key))
        self.set_normalisation()

    def forward(self, images: Tensor) -> Tensor:
        """Return unnormalised logits (N, num_classes) for images (N, C, H, W), uint8 or float in [0, 1]."""
        scale = 255 if images.dtype == torch.uint8 else 1
        images = images.to(self.mean.dtype)
        if scale != 1:
            images = images.div_(scale)  # in place, as it is a copy
        if self.normalises:
            images = (images - self.mean).div_(self.std)
        return self.network(images)

    def get_scores(self, split: str) -> Scores:
        """Return the scores of "train", "val" or "test", as of the last time that split was gone through."""
        return getattr(self, f"{split}_scores")

    def score(self, batch: Batch, split: str) -> Tensor:
        """Return the logits of a batch and keep them for the scores of `split`."""
        images, labels = batch
        logits = self(images)
        self.get_scores(split).add(logits, labels)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy of images (N, C, H, W) and labels (N,)."""
        return F.cross_entropy(self.score(batch, "train"), batch[1])

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score a batch of the validation or, after every epoch of training, of the test images."""
        self.score(batch, self.evaluated_splits[dataloader_idx])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Score a batch of the test images."""
        self.score(batch, "test")

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return probabilities (N, num_classes) for images (N, C, H, W), alone or first in a batch."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self(images).float().softmax(dim=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return SGD with the learning rate, momentum and weight decay of the hyperparameters."""
        h = self.hparams
        return torch.optim.SGD(self.parameters(), lr=h.lr, momentum=h.momentum, weight_decay=h.weight_decay)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        """Forget the gradients, without the profiling of `zero_grad`: 2 % of a step of the MLP."""
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def on_train_epoch_start(self) -> None:
        """Start the epoch's scores, figures and clock, and seed what PyTorch is going to draw."""
        # By seed and epoch, as the sampler: a resumed run then draws the same as an uninterrupted one.
        seed = int(os.getenv("PL_GLOBAL_SEED", "0"))
        torch.manual_seed(seed + 1_000_003 * (self.current_epoch * self.trainer.world_size + self.global_rank))
        self.figures = {}
        self.train_scores.reset()
        self.training_seconds = -time.perf_counter()

    def on_validation_start(self) -> None:
        """Stop the clock of training, and find out which images are about to be scored."""
        self.pause_training_clock()
        self.start_evaluation(self.trainer.val_dataloaders, "val")

    def on_validation_end(self) -> None:
        """Let the clock of training run on."""
        self.training_seconds -= time.perf_counter()

    def on_test_start(self) -> None:
        """Start the scores of the test images."""
        self.start_evaluation(self.trainer.test_dataloaders, "test")

    def pause_training_clock(self) -> None:
        """Wait until the device has done all steps of training, and stop the clock."""
        self.train_scores.score_kept()
        self.train_scores.loss_sum.item()
        self.training_seconds += time.perf_counter()

    def start_evaluation(self, loaders: Any, split: str) -> None:
        """Reset the scores of the splits that the loaders read; a foreign loader counts as `split`."""
        loaders = loaders if isinstance(loaders, list) else [loaders]
        self.evaluated_splits = [getattr(getattr(loader, "dataset", None), "split", split) for loader in loaders]
        for name in self.evaluated_splits:
            self.get_scores(name).reset()

    def log_epoch(self, split: str, **figures: float) -> None:
        """Log loss and accuracy of a split, and further figures, at the number of epochs done."""
        self.get_scores(split).score_kept()
        scores = self.get_scores(split).compute()
        figures = {f"loss/{split}": scores["loss"], f"accuracy/{split}": scores["accuracy"], **figures}
        self.figures |= {tag: float(value) for tag, value in figures.items()}
        epochs_done = self.current_epoch + (self.trainer.state.fn == "fit")
        if not math.isfinite(scores["loss"]):
            # Before the epoch's checkpoint is saved, which so stays that of the epoch before.
            raise UserError(
                f"the {split} loss is not finite after {epochs_done} epochs: train with a learning rate below "
                f"{self.hparams.lr} (--model.lr), or clip the gradients (--trainer.gradient_clip_val 1)"
            )
        # Lightning takes a logged "step" as the x axis. Every process has the same figures: max keeps them exact.
        self.log_dict({**figures, "step": float(epochs_done)}, sync_dist=True, reduce_fx="max")

    def on_train_epoch_end(self) -> None:
        """Log the epoch's training figures, learning rate and images per second."""
        self.pause_training_clock()
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        images = self.train_scores.compute()["counts"].sum()
        seconds = torch.tensor(self.training_seconds, device=self.device)
        seconds = self.trainer.strategy.reduce(seconds, reduce_op="max")  # of the slowest process
        self.log_epoch("train", **{"lr": lr, "speed/images_per_second": images / seconds})

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation and test images."""
        for split in self.evaluated_splits:
            self.log_epoch(split)

    def on_test_epoch_end(self) -> None:
        """Log the figures of the test images."""
        self.log_epoch("test")

    @classmethod
    def load_from_checkpoint(
        cls, checkpoint_path: Any, *args: Any, weights_only: bool = True, **options: Any
    ) -> "ImageClassifier":
        """Return the network of a checkpoint; its file is read as plain tensors and values, whatever PyTorch's default.

        Args:
            checkpoint_path: The file.
            *args: Further arguments of Lightning's method.
            weights_only: False runs whatever code is in the file.
            **options: Further arguments of Lightning's method, and hyperparameters that win over the stored ones.
        """
        return super().load_from_checkpoint(checkpoint_path, *args, weights_only=weights_only, **options)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the names of the classes that rebuild this network and its data, and how its images are lit."""
        data = self.trainer.datamodule
        checkpoint["classes"] = {
            key: f"{type(part).__module__}.{type(part).__qualname__}"
            for key, part in (("model", self), ("data", data))
            if part is not None
        }
        checkpoint["dark_background"] = getattr(data, "dark_background", False)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse another network's weights, and let the settings given now win over those of the stored optimizer.

        Raises:
            ValueError: When the weights are of other layers.
        """
        stored, own = ({k: tuple(v.shape) for k, v in d.items()} for d in (checkpoint["state_dict"], self.state_dict()))
        if different := sorted(name for name in stored | own if stored.get(name) != own.get(name)):
            name = different[0]
            raise UserError(
                f"the checkpoint does not fit this {type(self).__name__}: {name} has the shape {stored.get(name)} "
                f"in the checkpoint and {own.get(name)} in the network"
            )
        stored = checkpoint["hyper_parameters"]
        keys = [key for key in ("lr", "momentum", "weight_decay") if self.hparams[key] != stored.get(key)]
        for state in checkpoint.get("optimizer_states", ()):
            for group in state["param_groups"]:
                group.update({key: self.hparams[key] for key in keys if key in group})
