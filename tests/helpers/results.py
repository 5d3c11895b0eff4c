"""Results per image, as an evaluation would produce them."""

from collections.abc import Sequence

import numpy as np

from classifier.analysis.results.image_results import ImageResults


def make_results(probabilities: object, labels: Sequence[int], losses: object = None) -> ImageResults:
    """Return the results of images with given probabilities (N, C) and labels (N,).

    A prediction is the most probable class. The losses are those of the probabilities, unless others are given.
    """
    table = np.asarray(probabilities, dtype=np.float32)
    targets = np.asarray(labels, dtype=np.int64)
    with np.errstate(divide="ignore"):
        own_losses = -np.log(table[np.arange(len(targets)), targets], dtype=np.float64)
    return ImageResults(
        class_names=tuple(f"class {index}" for index in range(table.shape[1])),
        names=tuple(f"#{index}" for index in range(len(targets))),
        indices=np.arange(len(targets)),
        labels=targets,
        predictions=table.argmax(axis=1),
        losses=own_losses if losses is None else np.asarray(losses, dtype=np.float64),
        probabilities=table,
    )


def make_predicted(predictions: Sequence[int], labels: Sequence[int], num_classes: int) -> ImageResults:
    """Return the results of images whose predicted classes are given; their probability is 0.9."""
    table = np.full((len(predictions), num_classes), 0.1 / (num_classes - 1))
    table[np.arange(len(predictions)), predictions] = 0.9
    return make_results(table, labels)


def make_random(num_images: int, num_classes: int, seed: int = 0, scale: float = 2.0) -> ImageResults:
    """Return random results that are calibrated: the label is drawn from the probabilities.

    Args:
        num_images: Number of images.
        num_classes: Number of classes.
        seed: Seed of the random numbers.
        scale: Standard deviation of the logits; the higher, the more confident.
    """
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, scale, (num_images, num_classes))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return make_results(exponentials / exponentials.sum(axis=1, keepdims=True), labels.tolist())
