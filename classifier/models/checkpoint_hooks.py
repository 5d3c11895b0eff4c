"""Checkpoints from which a network can be rebuilt without further arguments."""

import contextlib
import inspect
import io
import pydoc
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn

from classifier.callbacks.loop_state import find_position
from classifier.checkpoint_format import FORMAT_VERSION, read_checkpoint
from classifier.class_paths import PACKAGE, find_subclass, get_class_path
from classifier.data.training_record import (
    TrainingRecord,
    check_training_set,
    describe_evaluation_changes,
    describe_older_split,
    load_record,
    make_record,
)
from classifier.errors import UserError
from classifier.files import read_zip
from classifier.models.checks import check_stored_network, check_weights
from classifier.models.optimization import SGD_ARGS, override_optimizer_state
from classifier.models.prediction import InputFormat, PredictingModule
from classifier.models.trainer_state import check_optimizer_states, check_scheduler_states, check_trainer_state
from classifier.models.within_epoch import collect_state, restore_state
from classifier.seeding import get_epoch_seed

LIGHTNING_ARGS = ("hparams_file", "strict")  # of load_from_checkpoint; other arguments are hyperparameters


class CheckpointableModule(PredictingModule, ABC):
    """A LightningModule whose checkpoints contain only plain values, tensors and the import paths of its classes.

    A checkpoint that is written within an epoch also contains the state of that epoch, so that training continues from
    it exactly.
    """

    unfinished_epoch: list[dict[str, Any]] | None = None  # state of the current epoch in every process
    training_record: TrainingRecord | None = None  # the images that the weights were trained on, if known

    @property
    def hparams_initial(self) -> dict[str, Any]:  # type: ignore[override]
        """The hyperparameters for loggers. Tuples become lists, because `yaml.safe_load` cannot read tuples."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self.hparams.items()}

    @classmethod
    def update_hparams(cls, hparams: dict[str, Any]) -> dict[str, Any]:
        """Return the hyperparameters of a checkpoint, completed if an older version wrote it.

        A network overrides this if a hyperparameter that it has gained has another default than its former behaviour.
        """
        return hparams

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: Any, map_location: Any = None, *, weights_only: bool = True, **kwargs: Any
    ) -> "CheckpointableModule":
        """Return the network of a checkpoint. By default, no code in the file is run.

        The method of an abstract class, such as `ImageClassifier`, returns a network of the class in the checkpoint.

        Args:
            checkpoint_path: The checkpoint file.
            map_location: Device to load the weights to, as in `torch.load`.
            weights_only: Whether to load only tensors and plain values. False can run code that the file contains.
            **kwargs: Further arguments of Lightning's method, and hyperparameters that override the stored ones.

        Raises:
            UserError: The file is damaged, or does not contain a network of this class.
        """
        is_open = hasattr(checkpoint_path, "read")
        if not is_open and not Path(checkpoint_path).is_file():  # a URL, or a file that Lightning reports as missing
            return super().load_from_checkpoint(checkpoint_path, map_location, weights_only=weights_only, **kwargs)
        content = io.BytesIO(checkpoint_path.read() if is_open else Path(checkpoint_path).read_bytes())
        if weights_only:
            checkpoint = read_checkpoint(content, checkpoint_path)
            if inspect.isabstract(cls):
                found = find_network_class(cls, checkpoint["classes"].get("model"))
                content.seek(0)
                return found.load_from_checkpoint(content, map_location, **kwargs)
            stored = checkpoint["hyper_parameters"]
            hparams = {key: value for key, value in kwargs.items() if key not in LIGHTNING_ARGS}
            updated = cls.update_hparams(stored | hparams)
            try:
                check_stored_network(cls, updated, checkpoint["state_dict"])
            except UserError as error:
                if (name := str(checkpoint["classes"].get("model")).rpartition(".")[2]) == cls.__name__:
                    raise
                raise UserError(
                    f"the checkpoint contains a {name}: use {name}.load_from_checkpoint ({error})"
                ) from error
            kwargs |= {key: value for key, value in updated.items() if key not in stored}
        return super().load_from_checkpoint(read_zip(content), map_location, weights_only=weights_only, **kwargs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add import paths, the format version, and what is known of the data: its decoding and its training images."""
        data = getattr(self.trainer, "datamodule", None)
        parts = {"model": self} if data is None else {"model": self, "data": data}
        checkpoint["classes"] = {key: get_class_path(type(part)) for key, part in parts.items()}
        checkpoint["format_version"] = FORMAT_VERSION
        decoding, checkpoint["dark_background"] = self.input_format
        if decoding:
            checkpoint["decoding"] = decoding
        if self.training_record is not None:
            self.training_record.save(checkpoint)
        if "optimizer_states" in checkpoint and find_position(checkpoint).batches:
            checkpoint["unfinished_epoch"] = self.unfinished_epoch or collect_state(self)

    def keep_unfinished_epoch(self) -> None:
        """Keep the state of an epoch that ends early, before its metrics are computed. Every process calls this."""
        self.unfinished_epoch = collect_state(self)

    @abstractmethod
    def group_parameters(self) -> list[dict[str, Any]]:
        """Return the parameter groups of the optimizer."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check a checkpoint, and prepare it for continuing exactly where it was written.

        Hyperparameters in its optimizer state are replaced by the current ones.

        Raises:
            UserError: Its weights, or the state of the optimizer or of the Trainer, do not fit this network, or
                training is resumed with another training set.
        """
        for key in ("state_dict", "current_model_state"):
            if key in checkpoint:
                check_weights(self, checkpoint[key])
        defined_by = next(base for base in type(self).__mro__ if "configure_optimizers" in vars(base))
        if defined_by.__module__.partition(".")[0] == PACKAGE:  # and not an optimizer of the user's own
            param_groups = self.group_parameters()
            check_optimizer_states(checkpoint, {name: self.hparams[name] for name in SGD_ARGS}, param_groups)
            check_scheduler_states(checkpoint, self.hparams.lr_schedule != "constant" or self.hparams.lr_warmup > 0)
            override_optimizer_state(checkpoint, self.hparams, param_groups)
        self.training_record = load_record(checkpoint)
        self.stored_input = InputFormat(checkpoint.get("decoding", {}), checkpoint.get("dark_background", False))
        with contextlib.suppress(RuntimeError):  # of Lightning, if the network is not used by a Trainer
            check_trainer_state(checkpoint, self.trainer)
            self._check_data(checkpoint)

    def _check_data(self, checkpoint: dict[str, Any]) -> None:
        """Check that a resumed run has the training set of its checkpoint, and report a split that has changed."""
        data = getattr(self.trainer, "datamodule", None)
        if self.trainer.state.fn == "fit":
            check_training_set(self.training_record, data, "leave out ckpt_path")
            if warning := describe_evaluation_changes(self.training_record, data):
                rank_zero_warn(warning)
        if warning := describe_older_split(checkpoint, data):
            rank_zero_warn(warning)

    def on_train_epoch_start(self) -> None:
        """Seed PyTorch, so that a resumed run draws the same numbers, and keep a record of the training images."""
        torch.manual_seed(get_epoch_seed(self.current_epoch, self.global_rank, self.trainer.world_size))
        if self.current_epoch == 0 or self.training_record is None:  # not those of a checkpoint that is continued
            self.training_record = make_record(getattr(self.trainer, "datamodule", None))
        states, self.unfinished_epoch = self.unfinished_epoch, None
        if states:
            restore_state(self, states)


def find_network_class(base: type[CheckpointableModule], path: Any) -> type[CheckpointableModule]:
    """Return the class of a checkpoint's network.

    Args:
        base: Class that the network's class has to be derived from.
        path: Import path of the network's class. It is imported only if it is in this package.

    Raises:
        UserError: The class is not imported yet, or is not derived from `base`.
    """
    if str(path).partition(".")[0] == PACKAGE:
        pydoc.locate(str(path))
    found = find_subclass(str(path), base)
    if found is None:
        raise UserError(f"the checkpoint contains a {path}: import this class, and use its load_from_checkpoint")
    return found
