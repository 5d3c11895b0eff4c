"""Content hashes of images, which tell whether two images are the same pixel for pixel."""

import hashlib

import numpy as np
import torch
from torch import Tensor

HASH_BYTES = 8  # the probability that two of a million different images have the same hash is 3e-8


def hash_images(images: Tensor) -> Tensor:
    """Return a 64-bit hash of the pixels of every image.

    Args:
        images: uint8 images (N, C, H, W) of any shape.

    Returns:
        An int64 tensor (N,). Images of the same shape have the same hash only if all pixels are equal.
    """
    pixels = images.cpu().contiguous().flatten(1).numpy()
    digests = [hashlib.blake2b(image.data, digest_size=HASH_BYTES).digest() for image in pixels]
    return torch.from_numpy(np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64))
