"""Content hashes of images."""

import torch

from classifier.data.content_hashes import hash_images
from classifier.data.sources import ImagesInMemory

KNOWN = 5842572286023976813  # also on other machines, because checkpoints contain hashes


def test_images_have_the_same_hash_exactly_if_all_pixels_are_equal():
    images = torch.randint(256, (5, 3, 4, 6), dtype=torch.uint8)
    images[3] = images[1]
    images[4] = images[1]
    images[4, 2, 3, 5] ^= 1
    hashes = hash_images(images)
    assert (hashes.dtype, hashes.shape) == (torch.int64, (5,))
    assert hashes[1] == hashes[3]
    assert len(hashes.unique()) == 4


def test_hash_depends_on_the_pixels_only():
    image = torch.arange(48, dtype=torch.uint8).reshape(1, 3, 4, 4)
    assert hash_images(image).tolist() == [KNOWN]
    assert hash_images(image.contiguous(memory_format=torch.channels_last)).tolist() == [KNOWN]


def test_source_hashes_all_its_images_in_order(monkeypatch):
    monkeypatch.setattr("classifier.data.sources.HASHED_TOGETHER", 2)
    images = torch.randint(256, (5, 1, 3, 3), dtype=torch.uint8)
    assert torch.equal(ImagesInMemory(images).get_hashes(), hash_images(images))
    assert ImagesInMemory(images[:0]).get_hashes().shape == (0,)
