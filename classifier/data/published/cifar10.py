"""CIFAR10."""

from typing import Any

import torchvision

from classifier.data.published.cifar_base import CIFARDataModule


class CIFAR10(CIFARDataModule):
    """60,000 colour images of 32x32 pixels in 10 classes, 50,000 of them for training (Krizhevsky, 2009).

    Args:
        root: Folder that contains the files; missing files are downloaded to it.
        batch_size: Images per training step, on each device; above 0. The default is that of the tutorial.
        **kwargs: Further arguments of ImageDataModule.
    """

    torchvision_class = torchvision.datasets.CIFAR10
    folder = torchvision_class.base_folder
    files = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
    label_key = "labels"
    class_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self, root: str = "data", batch_size: int = 4, **kwargs: Any) -> None:
        super().__init__(root=root, batch_size=batch_size, **kwargs)
