"""What makes a network's checkpoint complete: it rebuilds the network without any further argument."""

from abc import ABC, abstractmethod
from typing import Any

import lightning as L

from classifier.class_paths import get_class_path
from classifier.hparams import CheckedHyperparameters
from classifier.models.checks import check_weights
from classifier.models.optimization import override_optimizer_state

FORMAT_VERSION = 2  # of checkpoints; those of classifier 0.1 carry no number


class CheckpointableModule(CheckedHyperparameters, L.LightningModule, ABC):
    """A LightningModule whose checkpoint holds plain values and tensors, and names the classes that rebuild it."""

    @property
    def hparams_initial(self) -> dict[str, Any]:  # type: ignore[override]
        """The hyperparameters as loggers get them: with lists for tuples, which safe YAML cannot read."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self.hparams.items()}

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: Any, weights_only: bool = True, **kwargs: Any
    ) -> "CheckpointableModule":
        """Return the network of a checkpoint, read as plain tensors and values whatever PyTorch's default is.

        Args:
            checkpoint_path: The checkpoint file.
            weights_only: False also runs any code that the file contains.
            **kwargs: Further arguments of Lightning's method, and hyperparameters that replace the stored ones.
        """
        return super().load_from_checkpoint(checkpoint_path, weights_only=weights_only, **kwargs)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the names of the classes that rebuild network and data, and whether images have a dark background."""
        data = getattr(self.trainer, "datamodule", None)
        parts = {"model": self} if data is None else {"model": self, "data": data}
        checkpoint["classes"] = {key: get_class_path(type(part)) for key, part in parts.items()}
        checkpoint["format_version"] = FORMAT_VERSION
        checkpoint["dark_background"] = getattr(data, "dark_background", False)

    @abstractmethod
    def group_parameters(self) -> list[dict[str, Any]]:
        """Return the parameter groups of the optimizer."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the weights of another network, and let hyperparameters given now win over the stored optimizer's.

        Raises:
            UserError: The weights belong to other layers.
        """
        check_weights(self, checkpoint["state_dict"])
        override_optimizer_state(checkpoint, self.hparams, self.group_parameters())
