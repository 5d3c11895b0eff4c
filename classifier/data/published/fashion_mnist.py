"""FashionMNIST."""

from typing import ClassVar

import torchvision

from classifier.data.published.idx import IDXDataModule, Published


class FashionMNIST(IDXDataModule):
    """70,000 grey images of clothes, 28x28 pixels, 10 classes, 60,000 for training (Xiao, Rasul and Vollgraf, 2017)."""

    torchvision_class = torchvision.datasets.FashionMNIST
    folder = "FashionMNIST/raw"
    class_names = tuple(torchvision_class.classes)
    # The `.gz` files that gzip makes of these files have the MD5 sums that torchvision lists.
    published: ClassVar[Published] = {
        "train-images-idx3-ubyte": ((60_000, 28, 28), 0xB4F29F28),
        "train-labels-idx1-ubyte": ((60_000,), 0x741A4657),
        "t10k-images-idx3-ubyte": ((10_000, 28, 28), 0x678FE0B1),
        "t10k-labels-idx1-ubyte": ((10_000,), 0x80142C1F),
    }
    files = tuple(published)
