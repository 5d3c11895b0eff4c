"""Image classification with PyTorch Lightning: reproducible training, evaluation, prediction and export."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from classifier.callbacks.averaging import Lookahead
    from classifier.callbacks.console import ConsoleReporter
    from classifier.callbacks.epoch_metrics import EpochMetrics
    from classifier.callbacks.recorder import ResultsRecorder
    from classifier.callbacks.tensorboard import TensorBoardReporter
    from classifier.cli.quiet import silence_lightning
    from classifier.commands.export import export_classifier
    from classifier.commands.report import report
    from classifier.data.base import ImageDataModule
    from classifier.data.digits import Digits
    from classifier.data.image_files.decoding import read_image
    from classifier.data.own_images.folder import ImageFolder
    from classifier.data.own_images.table import ImageTable
    from classifier.data.published.cifar10 import CIFAR10
    from classifier.data.published.cifar100 import CIFAR100
    from classifier.data.published.fashion_mnist import FashionMNIST
    from classifier.data.published.mnist import MNIST
    from classifier.models.airbench import Airbench
    from classifier.models.base import ImageClassifier
    from classifier.models.cnn import CNN
    from classifier.models.mlp import MLP
    from classifier.models.prediction import Prediction
    from classifier.models.timm_models import Timm
    from classifier.models.torchvision_models import TorchVision
    from classifier.plots import plot_confusion_matrix, plot_curves, plot_images
    from classifier.runs.checkpoints import load

# Public names are imported when they are first used (PEP 562), so that a command loads only what it needs. The block
# above tells type checkers the same.
MODULES = {
    "Airbench": "models.airbench",
    "CIFAR10": "data.published.cifar10",
    "CIFAR100": "data.published.cifar100",
    "CNN": "models.cnn",
    "ConsoleReporter": "callbacks.console",
    "Digits": "data.digits",
    "EpochMetrics": "callbacks.epoch_metrics",
    "FashionMNIST": "data.published.fashion_mnist",
    "ImageClassifier": "models.base",
    "ImageDataModule": "data.base",
    "ImageFolder": "data.own_images.folder",
    "ImageTable": "data.own_images.table",
    "Lookahead": "callbacks.averaging",
    "MLP": "models.mlp",
    "MNIST": "data.published.mnist",
    "Prediction": "models.prediction",
    "ResultsRecorder": "callbacks.recorder",
    "TensorBoardReporter": "callbacks.tensorboard",
    "Timm": "models.timm_models",
    "TorchVision": "models.torchvision_models",
    "export_classifier": "commands.export",
    "load": "runs.checkpoints",
    "plot_confusion_matrix": "plots",
    "plot_curves": "plots",
    "plot_images": "plots",
    "read_image": "data.image_files.decoding",
    "report": "commands.report",
    "silence_lightning": "cli.quiet",
}

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "CNN",
    "MLP",
    "MNIST",
    "Airbench",
    "ConsoleReporter",
    "Digits",
    "EpochMetrics",
    "FashionMNIST",
    "ImageClassifier",
    "ImageDataModule",
    "ImageFolder",
    "ImageTable",
    "Lookahead",
    "Prediction",
    "ResultsRecorder",
    "TensorBoardReporter",
    "Timm",
    "TorchVision",
    "export_classifier",
    "load",
    "plot_confusion_matrix",
    "plot_curves",
    "plot_images",
    "read_image",
    "report",
    "silence_lightning",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used.

    Raises:
        AttributeError: The package has no such public name.
    """
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted({*globals(), *MODULES})
