"""MNIST."""

from typing import ClassVar

import torchvision

from classifier.data.published.idx import IDXDataModule, Published


class MNIST(IDXDataModule):
    """70,000 grey images of handwritten digits, 28x28 pixels, 60,000 for training (LeCun, Cortes and Burges, 1998)."""

    torchvision_class = torchvision.datasets.MNIST
    folder = "MNIST/raw"
    class_names = tuple("0123456789")
    # Of files with the MD5 sums 6bbc9ace898e44ae57da46a324031adb, a25bea736e30d166cdddb491f175f624,
    # 2646ac647ad5339dbf082846283269ea and 27ae3e4e09519cfbb04c329615203637, in this order. These are the sums that
    # other projects list for the unpacked files; `gzip -6` makes files of the published sizes of them.
    published: ClassVar[Published] = {
        "train-images-idx3-ubyte": ((60_000, 28, 28), 0xE9F4D8B3),
        "train-labels-idx1-ubyte": ((60_000,), 0xE0CB4AD2),
        "t10k-images-idx3-ubyte": ((10_000, 28, 28), 0x91373BDF),
        "t10k-labels-idx1-ubyte": ((10_000,), 0x4AB9EFF9),
    }
    files = tuple(published)
