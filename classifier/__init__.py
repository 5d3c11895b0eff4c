"""Image classification with PyTorch Lightning: two classic tutorials as reliable software."""

from classifier.base import ImageClassifier
from classifier.callbacks import EpochLines, RunRecord
from classifier.data import CIFAR10, Digits, FashionMNIST, ImageDataModule
from classifier.folder import ImageFolder
from classifier.models import CNN, MLP

__all__ = [
    "CIFAR10",
    "CNN",
    "MLP",
    "Digits",
    "EpochLines",
    "FashionMNIST",
    "ImageClassifier",
    "ImageDataModule",
    "ImageFolder",
    "RunRecord",
]
