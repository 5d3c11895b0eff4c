"""The handwritten digits that come with scikit-learn."""

from functools import cache

import torch
from torch import Tensor

from classifier.data.base import ImageDataModule


class Digits(ImageDataModule):
    """1,797 grey images of handwritten digits, 8x8 pixels, included in scikit-learn (Alpaydin and Kaynak, 1998).

    A fixed stratified split assigns 1,437 images to the training set and 360 to the test set.
    """

    image_shape = (1, 8, 8)
    class_names = tuple("0123456789")
    dark_background = True

    def read(self, split: str) -> tuple[Tensor, Tensor]:
        """Return images (N, 1, 8, 8) and labels (N,) of "train" or "test"."""
        images, labels, indices = read_file()
        return images[indices[split]], labels[indices[split]]


@cache
def read_file() -> tuple[Tensor, Tensor, dict[str, list[int]]]:
    """Read the text file of scikit-learn, which takes longer than a short epoch, only once.

    Returns:
        All images (1797, 1, 8, 8), their labels (1797,), and the indices of "train" and "test".
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (torch.from_numpy(digits.images) * (255 / 16)).round().to(torch.uint8).unsqueeze(1)  # from 0 to 16
    labels = torch.from_numpy(digits.target).long()
    train, test = train_test_split(range(len(labels)), test_size=360, stratify=digits.target, random_state=0)
    return images, labels, {"train": train, "test": test}
