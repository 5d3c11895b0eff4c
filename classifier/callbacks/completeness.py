"""Check that an evaluation has used all images."""

import lightning as L
from lightning.pytorch.callbacks import Callback

from classifier.callbacks.epoch_metrics import get_epoch_metrics
from classifier.errors import UserError


class CompletenessCheck(Callback):
    """Checks that `test` and `validate` evaluate every image once, over all processes, unless a limit is set."""

    state_key = "CompletenessCheck"

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check the number of evaluated validation images."""
        if trainer.state.fn == "validate":
            check_completeness(trainer, "val")

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check the number of evaluated test images."""
        check_completeness(trainer, "test")


def check_completeness(trainer: L.Trainer, split: str) -> None:
    """Check that as many images were evaluated as a split has.

    Args:
        trainer: The Trainer.
        split: "val" or "test".

    Raises:
        UserError: The number is another one, although neither `limit_<split>_batches` nor `fast_dev_run` is set.
    """
    dataset = getattr(trainer.datamodule, "datasets", {}).get(split)
    loaders = trainer.test_dataloaders if split == "test" else trainer.val_dataloaders
    loaders = loaders if isinstance(loaders, list) else [loaders]
    if all(getattr(loader, "dataset", None) is not dataset for loader in loaders) or dataset is None:
        return  # loaders of the user's own
    expected = len(dataset)
    evaluated = get_epoch_metrics(trainer).images_scored[split]
    # A limit of 1 is one batch, and a limit of 1.0 is all of them.
    limit = getattr(trainer, f"limit_{split}_batches")
    if evaluated != expected and isinstance(limit, float) and limit == 1.0:
        raise UserError(
            f"{evaluated} of {expected} {split} images were evaluated in {trainer.num_nodes * trainer.num_devices} "
            "processes: check that as many processes run as --trainer.devices and --trainer.num_nodes ask for"
        )
