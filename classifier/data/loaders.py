"""The DataLoaders of the splits, for training and evaluation on any number of processes."""

from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from classifier.data.dataset import Batch, ImageDataset
from classifier.data.sampling import TrainingLoader, make_sampler
from classifier.data.sources import identity_collate
from classifier.errors import require
from classifier.hparams import CheckedHyperparameters


class ImageLoaders(CheckedHyperparameters, L.LightningDataModule):
    """A LightningDataModule that makes DataLoaders of the datasets that a subclass sets up."""

    splits: tuple[str, ...]
    datasets: dict[str, ImageDataset]

    def train_dataloader(self) -> DataLoader:
        """Return a loader of the training images, shuffled in an order that depends on seed and epoch only.

        Raises:
            SettingError: `drop_last` leaves no batch.
        """
        loader = self.make_loader("train", self.hparams.batch_size)
        require(len(loader) > 0, "drop_last leaves no training batch: batch_size is above the number of images")
        return loader

    def val_dataloader(self) -> list[DataLoader]:
        """Return the loaders to evaluate after an epoch: validation images, if any, and during `fit` test images.

        Raises:
            SettingError: `validate` is run without validation images.
        """
        # `test` may have evaluated validation images in place of missing test images.
        splits = [name for name in ("val", "test") if name in self.datasets and (name == "val" or name in self.splits)]
        if self.trainer is not None and self.trainer.state.fn == "validate":
            require("val" in splits, "there are no validation images, because val_split is 0: use test")
            splits = ["val"]
        return [self.make_loader(split, self.hparams.test_batch_size) for split in splits]

    def test_dataloader(self) -> DataLoader:
        """Return a loader of the test images, in order."""
        name, exists = type(self).__name__, {"test", "val"} & set(self.splits)
        advice = 'images: call setup("test") first' if exists else "test images"
        require("test" in self.datasets, f"{name} has no {advice}")
        return self.make_loader("test", self.hparams.test_batch_size)

    def predict_dataloader(self) -> DataLoader:
        """Return the loader of `test_dataloader`: `Trainer.predict` predicts the classes of the test images."""
        return self.test_dataloader()

    def make_loader(self, split: str, batch_size: int) -> DataLoader:
        """Return a loader of the images of a split that are assigned to this process."""
        dataset, trainer, num_processes, rank, epoch = self.datasets[split], self.trainer, 1, 0, 0
        if trainer is not None:
            num_processes, rank, epoch = trainer.world_size, trainer.global_rank, trainer.current_epoch
            # Images in memory stay on the device of the network, so that no step waits for a transfer.
            dataset.move_to(trainer.strategy.root_device)
        workers = dataset.source.count_workers(num_processes)
        loader_class = TrainingLoader if split == "train" else DataLoader
        return loader_class(
            dataset,
            batch_size=batch_size,
            sampler=make_sampler(dataset, split, rank, num_processes, epoch),
            drop_last=split == "train" and self.hparams.drop_last,
            collate_fn=identity_collate,
            # Without its own generator, a loader would draw from the one that a resumed run has to reproduce.
            generator=torch.Generator(),
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    # Lightning's own transfer hooks search the batch for tensors. These overrides cost a step nothing.
    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged."""
        return batch

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Return images and labels on the device."""
        images, labels = batch
        return images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
