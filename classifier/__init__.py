"""Image classification with PyTorch Lightning: two classic tutorials as reliable software."""

from classifier.callbacks import EpochLines, RunRecord
from classifier.data import CIFAR10, Digits, FashionMNIST, ImageDataModule
from classifier.models import CNN, MLP, ImageClassifier

__all__ = [
    "CIFAR10",
    "CNN",
    "MLP",
    "Digits",
    "EpochLines",
    "FashionMNIST",
    "ImageClassifier",
    "ImageDataModule",
    "RunRecord",
]
