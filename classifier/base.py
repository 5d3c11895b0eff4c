"""The base of all networks: a LightningModule that holds step, logging and optimizer."""

import inspect
import math
import os
import time
from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from classifier.augmentation import pad_reflected
from classifier.averaging import Lookahead
from classifier.class_paths import get_class_path
from classifier.data import make_plain
from classifier.errors import SettingError, UserError, require
from classifier.loading import Batch
from classifier.scores import Scores
from classifier.shortcuts import LeanModule

FORMAT_VERSION = 2  # of checkpoints; those of classifier 0.1 carry no number


class ImageClassifier(LeanModule, ABC):
    """Base of all networks: a subclass defines `build_network` and, where it has options of its own, a constructor.

    Images may come as uint8 or as float in [0, 1]; they are normalised inside. What is not given here of `mean`,
    `std` and `class_names` is taken from the data module when a Trainer starts, and stays in the checkpoint.

    Args:
        image_shape: Channels, height and width of an image in pixels.
        num_classes: Number of classes, at least 2.
        lr: Learning rate of SGD, above 0.
        momentum: Momentum of SGD, from 0 to below 1.
        weight_decay: L2 penalty of SGD, at least 0.
        nesterov: Whether the momentum is Nesterov's; needs a momentum above 0.
        label_smoothing: Share of a label that is spread over all classes in the loss of training, from 0 to below 1.
        lr_schedule: What the learning rate does, step by step, after the warm-up: stay constant, or fall along a line
            or a cosine until the last step.
        lr_warmup: Share of all steps in which the learning rate rises along a line, from 0 to below 1.
        lr_start: Share of the learning rate at which the warm-up starts.
        lr_end: Share of the learning rate that linear and cosine end at.
        ema_decay: Share of the old average in a moving average of the weights, kept after every step and used for
            scoring and in checkpoints, from 0 (none) to below 1.
        lookahead: After how many steps the weights go back to a moving average of theirs; 0 for never.
        tta: Test-time augmentation: score and predict on an image alone (none), also on its mirror image (mirror), or
            on both, and both moved by a pixel up and left, down and right (mirror_and_shift).
        channels_last: Whether images and weights of convolutions lie in memory channels last, which is faster with
            many channels.
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
        nesterov: bool = False,
        label_smoothing: float = 0.0,
        lr_schedule: Literal["constant", "linear", "cosine"] = "constant",
        lr_warmup: float = 0.0,
        lr_start: float = 0.0,
        lr_end: float = 0.0,
        ema_decay: float = 0.0,
        lookahead: int = 0,
        tta: Literal["none", "mirror", "mirror_and_shift"] = "none",
        channels_last: bool = False,
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
        require(momentum > 0 or not nesterov, "nesterov needs a momentum above 0")
        schedules, ttas = ("constant", "linear", "cosine"), ("none", "mirror", "mirror_and_shift")
        require(lr_schedule in schedules, f"lr_schedule must be constant, linear or cosine, not {lr_schedule}")
        require(tta in ttas, f"tta must be none, mirror or mirror_and_shift, not {tta}")
        for name in ("label_smoothing", "lr_warmup", "ema_decay"):
            require(0 <= self.hparams[name] < 1, f"{name} must be from 0 to below 1, not {self.hparams[name]}")
        for name in ("lr_start", "lr_end"):
            require(0 <= self.hparams[name] <= 1, f"{name} must be from 0 to 1, not {self.hparams[name]}")
        require(lookahead >= 0, f"lookahead must be at least 0, not {lookahead}")
        require(not (ema_decay and lookahead), "ema_decay and lookahead exclude each other")
        self.network = self.build_network()
        self.memory_format = torch.channels_last if channels_last else torch.preserve_format
        self.network.to(memory_format=self.memory_format)
        self.train_scores, self.val_scores = Scores(num_classes), Scores(num_classes)
        self.test_scores = Scores(num_classes, num_mistakes=20)
        self.evaluated_splits = ["val"]
        self.training_seconds = 0.0
        self.figures: dict[str, float] = {}  # what was logged in the epoch, for callbacks
        self.set_normalisation()

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
        return self.network(self.normalise(images))

    def normalise(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W), uint8 or float in [0, 1], as the network takes them."""
        scale = 255 if images.dtype == torch.uint8 else 1
        images = images.to(self.mean.dtype, memory_format=self.memory_format)
        if scale != 1:
            images = images.div_(scale)  # in place, as it is a copy
        if self.normalises:
            images = (images - self.mean).div_(self.std)
        return images

    def infer(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes) for images (N, C, H, W) with the test-time augmentation of `tta`.

        As in "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan, 2024), the unmoved images count twice.
        """
        if self.hparams.tta == "none":
            return self(images)
        views = [images]
        if self.hparams.tta == "mirror_and_shift":
            padded = pad_reflected(images, 1)
            views += [padded[..., :-2, :-2], padded[..., 2:, 2:]]
        first, *moved = [(self(view) + self(view.flip(-1))) / 2 for view in views]
        return (first + sum(moved) / len(moved)) / 2 if moved else first

    def get_scores(self, split: str) -> Scores:
        """Return the scores of "train", "val" or "test", as of the last time that split was gone through."""
        return getattr(self, f"{split}_scores")

    def score(self, batch: Batch, split: str) -> Tensor:
        """Return the logits of a batch and keep them for the scores of `split`."""
        images, labels = batch
        logits = self(images) if split == "train" else self.infer(images)
        self.get_scores(split).add(logits, labels)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean cross-entropy, with smoothed labels, of images (N, C, H, W) and labels (N,)."""
        return F.cross_entropy(self.score(batch, "train"), batch[1], label_smoothing=self.hparams.label_smoothing)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score a batch of the validation or, after every epoch of training, of the test images."""
        self.score(batch, self.evaluated_splits[dataloader_idx])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Score a batch of the test images."""
        self.score(batch, "test")

    # Lightning asks in every step, and Python would work them out each time: 1 % of a step of the MLP.
    for step in (training_step, validation_step, test_step):
        step.__signature__ = inspect.signature(step)
    del step

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return probabilities (N, num_classes) for images (N, C, H, W), alone or first in a batch."""
        images = batch if isinstance(batch, Tensor) else batch[0]
        return self.infer(images).float().softmax(dim=1)

    def group_parameters(self) -> list[dict[str, Any]]:
        """Return the groups of parameters for SGD; one may have a learning rate and a weight decay of its own."""
        return [{"params": list(self.parameters())}]

    def configure_optimizers(self) -> dict[str, Any]:
        """Return SGD with the hyperparameters, and the schedule of its learning rate unless that is constant."""
        h = self.hparams
        options = {name: h[name] for name in ("lr", "momentum", "weight_decay", "nesterov")}
        optimizers: dict[str, Any] = {"optimizer": torch.optim.SGD(self.group_parameters(), **options)}
        if h.lr_schedule != "constant" or h.lr_warmup:
            steps = self.trainer.estimated_stepping_batches
            require(math.isfinite(steps), "a lr_schedule needs an end: give --trainer.max_epochs or max_steps")
            scheduler = LambdaLR(optimizers["optimizer"], lambda step: self.scale_lr(step, int(steps)))
            optimizers["lr_scheduler"] = {"scheduler": scheduler, "interval": "step"}
        return optimizers

    def scale_lr(self, step: int, steps: int) -> float:
        """Return the share of the learning rate that holds in step `step`, from 0, of `steps`."""
        h = self.hparams
        warmup = int(h.lr_warmup * steps)
        if step < warmup:
            return h.lr_start + (1 - h.lr_start) * step / warmup
        done = min((step - warmup) / (steps - warmup), 1.0)
        left = {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[h.lr_schedule]
        return h.lr_end + (1 - h.lr_end) * left

    def configure_callbacks(self) -> list[Callback]:
        """Return the averaging of weights that the hyperparameters ask for, while fitting."""
        device = self.trainer.strategy.root_device
        if self.trainer.state.fn != "fit":
            return []
        if self.hparams.lookahead:
            return [Lookahead(self.hparams.lookahead, device=device)]
        return [EMAWeightAveraging(device, decay=self.hparams.ema_decay)] if self.hparams.ema_decay else []

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
            key: get_class_path(type(part)) for key, part in (("model", self), ("data", data)) if part is not None
        }
        checkpoint["format_version"] = FORMAT_VERSION
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
        settings = ("lr", "momentum", "weight_decay", "nesterov")
        changed = {key: self.hparams[key] for key in settings if self.hparams[key] != stored.get(key)}
        for state in checkpoint.get("optimizer_states", ()):
            for group, own in zip(state["param_groups"], self.group_parameters(), strict=True):
                new = {key: own.get(key, value) for key, value in changed.items()}
                if "lr" in new and "initial_lr" in group:  # as far as its schedule had got
                    new["initial_lr"], new["lr"] = new["lr"], new["lr"] * group["lr"] / group["initial_lr"]
                group.update(new)
        if "lr" in changed:
            for state in checkpoint.get("lr_schedulers", ()):
                state["base_lrs"] = [group.get("lr", self.hparams.lr) for group in self.group_parameters()]
