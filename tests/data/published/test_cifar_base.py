"""Batches of CIFAR: their images, and the refusal of changed ones."""

import contextlib
import hashlib
import os

import pytest
import torch
from helpers.data_files import make_images

from classifier import CIFAR10


def test_images_and_labels_are_those_of_the_files(cifar_root):
    data = CIFAR10(root=str(cifar_root))
    data.prepare_data()
    data.setup("fit")
    train = data.datasets["train"]
    images, labels = make_images(12, 3, 32, 2)  # of data_batch_3
    assert torch.equal(train[24:36][0], torch.from_numpy(images))
    assert train.labels[24:36].tolist() == labels.tolist()
    assert train.source.images.is_contiguous()
    assert len(data.datasets["test"]) == 30


def test_a_file_with_a_wrong_md5_sum_is_named_and_not_unpickled(cifar_root, tmp_path):
    file = cifar_root / "cifar-10-batches-py" / "data_batch_2"
    file.write_bytes(b"cposix\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(ValueError, match=r"data_batch_2 has a wrong md5 sum. Delete data_batch_2, "):
        CIFAR10(root=str(cifar_root)).setup("fit")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_no_file_runs_code_even_if_it_is_replaced_after_its_check(cifar_root, tmp_path, monkeypatch, name):
    file = cifar_root / "cifar-10-batches-py" / name

    class ReplacingHash:
        def __init__(self, content, **_options):
            self.original = original(content, **_options)

        def hexdigest(self):
            file.write_bytes(b"cposix\nsystem\n(S'touch owned'\ntR.")
            return self.original.hexdigest()

    original = hashlib.md5
    monkeypatch.setattr("classifier.data.published.cifar_base.hashlib.md5", ReplacingHash)
    with contextlib.suppress(ValueError):
        CIFAR10(root=str(cifar_root)).setup("fit")
    assert file.read_bytes().startswith(b"cposix")
    assert not (tmp_path / "owned").exists()


def test_a_file_that_is_too_large_is_refused_before_it_is_read(cifar_root):
    os.truncate(cifar_root / "cifar-10-batches-py" / "test_batch", 10**12)
    with pytest.raises(ValueError, match=r"test_batch its size of 1,000,000,000,000 bytes is above the limit"):
        CIFAR10(root=str(cifar_root)).setup("test")
