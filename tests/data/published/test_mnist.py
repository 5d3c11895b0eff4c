"""MNIST: its files and its classes."""

import torch
from helpers.data_files import make_images, write_fashion_mnist

from classifier import MNIST


def test_images_and_labels_are_those_of_the_files(tmp_path):
    data = MNIST(root=str(write_fashion_mnist(tmp_path, name="MNIST")), download=False)
    data.prepare_data()
    data.setup("test")
    images, labels = make_images(130, 1, 28, 1)
    assert torch.equal(data.datasets["test"][:][0], torch.from_numpy(images))
    assert data.datasets["test"].labels.tolist() == labels.tolist()


def test_files_are_those_that_torchvision_downloads():
    names = [name.removesuffix(".gz") for name, _ in MNIST.torchvision_class.resources]
    assert list(MNIST.files) == names
