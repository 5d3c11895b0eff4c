"""Which images a network was trained on: the record in a checkpoint, and comparisons with other images."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from classifier.checkpoint_format import SPLITS_BY_NAME
from classifier.data.base import ImageDataModule
from classifier.data.dataset import ImageDataset
from classifier.errors import UserError

NAMES = {"val": "validation", "test": "test"}


class TrainingRecord(NamedTuple):
    """The images that a network was trained on.

    Args:
        images: Sorted content hashes of the training images, an int64 tensor (N,) on the CPU.
        digests: Hexadecimal digests of the hashes and the labels in the order of the dataset, by split.
        decoding: Settings that change the pixels of a decoded image, and therefore its content hash.
    """

    images: Tensor
    digests: dict[str, str]
    decoding: dict[str, Any]

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Add the record to a checkpoint, which contains the settings of the data already."""
        checkpoint["training_images"], checkpoint["image_digests"] = self.images, self.digests


def load_record(checkpoint: dict[str, Any]) -> TrainingRecord | None:
    """Return the record in a checkpoint, or None if there is none."""
    if "training_images" not in checkpoint:
        return None
    return TrainingRecord(
        checkpoint["training_images"],
        checkpoint.get("image_digests", {}),
        get_decoding(
            checkpoint.get("datamodule_hyper_parameters", {}), checkpoint["hyper_parameters"].get("image_shape")
        ),
    )


def get_decoding(hparams: Mapping[str, Any], image_shape: Any) -> dict[str, Any]:
    """Return the settings that change the pixels of decoded images: hyperparameters of the data, and `image_shape`."""
    settings = {name: hparams[name] for name in ("resize", "max_value") if name in hparams}
    return {"image_shape": tuple(image_shape) if isinstance(image_shape, (list, tuple)) else None, **settings}


def make_record(data: Any) -> TrainingRecord | None:
    """Return the record of the training set of a data module that is set up for `fit`.

    Args:
        data: A data module, or None.

    Returns:
        The record, or None if the data module does not know the hashes of its training images.
    """
    if getattr(data, "training_images", None) is None or "train" not in data.datasets:
        return None
    return describe_training_set(data)


def describe_training_set(data: ImageDataModule) -> TrainingRecord:
    """Return the record of a data module that is set up for `fit`; images are hashed if they are not yet."""
    digests = {split: digest_images(dataset) for split, dataset in data.datasets.items()}
    images = data.datasets["train"].source.get_hashes().sort().values
    return TrainingRecord(images, digests, get_decoding(data.hparams, data.image_shape))


def digest_images(dataset: ImageDataset) -> str:
    """Return a hexadecimal digest of the images and the labels of a dataset in their order."""
    digest = hashlib.blake2b(digest_size=16)
    for values in (dataset.source.get_hashes(), dataset.labels.cpu()):
        digest.update(values.contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()


def check_training_set(record: TrainingRecord | None, data: Any, advice: str) -> None:
    """Check that a run is resumed with the training set of its checkpoint.

    The images, their labels and their order have to be the same, because the order in which a network is trained on
    them depends only on the seed, the epoch and their position. File names and folders may have changed.

    Args:
        record: The record in the checkpoint; None is not checked.
        data: The data module, set up for `fit`; one that is no ImageDataModule is not checked.
        advice: How to start a new run, for the error message.

    Raises:
        UserError: The training set differs. The message describes how.
    """
    if record is None or not isinstance(data, ImageDataModule) or "train" not in data.datasets:
        return
    current = describe_training_set(data)
    if changes := describe_changes(record, current):
        raise UserError(f"{changes}; to train on the new images, start a new run: {advice}")


def describe_changes(old: TrainingRecord, new: TrainingRecord) -> str | None:
    """Return how a training set has changed since a checkpoint, or None if training continues exactly."""
    if not torch.equal(old.images, new.images):
        before, after = Counter(old.images.tolist()), Counter(new.images.tolist())
        added, removed = (after - before).total(), (before - after).total()
        if removed == len(old.images):
            changed = describe_decoding(old.decoding, new.decoding)
            reason = f" ({changed})" if changed else ", check --data.root"
            return f"the training set has none of the {removed:,} images that it had at the checkpoint{reason}"
        parts = [(added, "added to"), (removed, "removed from")]
        first, *rest = [(count, what) for count, what in parts if count]
        verb = f"{first[0]:,} image{' was' if first[0] == 1 else 's were'} {first[1]}"
        return " and ".join([verb, *(f"{count:,} {what}" for count, what in rest)]) + (
            " the training set since the checkpoint"
        )
    if "train" in list_changed_splits(old, new):
        return (
            "the training set has the same images as at the checkpoint, but in another order or with other labels, "
            "because files were renamed or moved to another class"
        )
    return None


def list_changed_splits(old: TrainingRecord, new: TrainingRecord) -> list[str]:
    """Return the splits whose images, labels or order differ between two records."""
    return [split for split, digest in new.digests.items() if old.digests.get(split, digest) != digest]


def describe_evaluation_changes(record: TrainingRecord | None, data: Any) -> str | None:
    """Return a warning if a resumed run evaluates other images than before its checkpoint, or None.

    Args:
        record: The record in the checkpoint, or None.
        data: The data module, set up for `fit`.
    """
    if record is None or not isinstance(data, ImageDataModule) or "train" not in data.datasets:
        return None
    changed = [NAMES[split] for split in list_changed_splits(record, describe_training_set(data)) if split in NAMES]
    if not changed:
        return None
    return (
        f"the {' and '.join(changed)} images have changed since the checkpoint: results of earlier epochs are those of "
        "the previous images"
    )


def describe_decoding(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """Return which settings that `get_decoding` returns differ between training and other data, or None."""
    changed = [
        f"{name} is {new[name]}, and was {old[name]} in training"
        for name in old
        if name in new
        and old[name] != new[name]
        # Without a value, it is chosen by the images, and has no effect on those with 8 bits.
        and None not in (old[name], new[name])
    ]
    return "; ".join(changed) or None


def find_trained_images(dataset: ImageDataset, record: TrainingRecord) -> Tensor:
    """Return a bool mask (N,) of the images of a dataset that were trained on.

    An image counts only if all pixels are equal after decoding.
    """
    return torch.isin(dataset.source.get_hashes(), record.images)


def describe_older_split(checkpoint: dict[str, Any], data: Any) -> str | None:
    """Return a warning if other images were held out of the training set when a checkpoint was written, or None.

    Args:
        checkpoint: Contents of the checkpoint.
        data: The data module; one that is no ImageDataModule is not checked.
    """
    if checkpoint.get("format_version", 1) >= SPLITS_BY_NAME or not isinstance(data, ImageDataModule):
        return None
    given = getattr(data, "given_splits", data.splits)
    held_out = {"val": data.hparams.val_split > 0, "test": "test" in data.splits}
    chosen = [split for split in NAMES if held_out.get(split) and split not in given]
    names = " and ".join(NAMES[split] for split in chosen)
    if not names:
        return None
    return (
        "an older version of classifier, which split the images differently, wrote the checkpoint: some of the "
        f"{names} images may have been trained on"
    )
