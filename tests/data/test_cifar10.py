"""CIFAR10: its files, and the refusal of changed ones."""

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
