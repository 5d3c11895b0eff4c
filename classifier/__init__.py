"""Image classification with PyTorch Lightning: two classic tutorials as reliable software."""

from classifier.data import CIFAR10, Digits, FashionMNIST, ImageDataModule
from classifier.models import CNN, MLP, ImageClassifier

__all__ = ["CIFAR10", "CNN", "MLP", "Digits", "FashionMNIST", "ImageClassifier", "ImageDataModule"]
