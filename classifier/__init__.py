"""Image classification with PyTorch Lightning: two classic tutorials as reliable software."""

from classifier.airbench import Airbench
from classifier.averaging import Lookahead
from classifier.base import ImageClassifier
from classifier.callbacks import EpochLines, RunRecord
from classifier.data import CIFAR10, Digits, FashionMNIST, ImageDataModule
from classifier.export import export_classifier
from classifier.folder import ImageFolder
from classifier.models import CNN, MLP, TorchVision
from classifier.pictures import Pictures, plot_confusion_matrix, plot_curves, plot_images

__all__ = [
    "CIFAR10",
    "CNN",
    "MLP",
    "Airbench",
    "Digits",
    "EpochLines",
    "FashionMNIST",
    "ImageClassifier",
    "ImageDataModule",
    "ImageFolder",
    "Lookahead",
    "Pictures",
    "RunRecord",
    "TorchVision",
    "export_classifier",
    "plot_confusion_matrix",
    "plot_curves",
    "plot_images",
]
