"""The variants that speed.py compares: a bare loop, a tutorial's script, ordinary Lightning, and this package."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import lightning as L
import torch
import torch.nn.functional as F
import torchmetrics
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, ToTensor
from training_timer import TrainingTimer, read_clock, time_command

from classifier import CIFAR10, CNN, MLP, FashionMNIST, ImageClassifier, ImageDataModule


class Recipe(NamedTuple):
    """What the variants need to know about a recipe of the package."""

    data_class: type[ImageDataModule]
    model_class: type[ImageClassifier]
    num_workers: int  # DataLoader workers in the tutorial
    disables_onednn: bool  # whether the package trains without oneDNN


RECIPES = {
    "fashion_mnist": Recipe(FashionMNIST, MLP, num_workers=0, disables_onednn=False),
    "cifar10": Recipe(CIFAR10, CNN, num_workers=2, disables_onednn=True),
}


class Seconds(NamedTuple):
    """Seconds of all training steps after the first one, and of a pass over the test images."""

    training: float
    test: float


class OrdinaryModule(L.LightningModule):
    """A LightningModule as in many first projects: loss and a metric are logged in every step."""

    def __init__(self, network: nn.Module, lr: float, momentum: float):
        super().__init__()
        self.network, self.lr, self.momentum = network, lr, momentum
        self.metrics = nn.ModuleDict(
            {f"{stage}_accuracy": torchmetrics.Accuracy("multiclass", num_classes=10) for stage in ("train", "test")}
        )

    def step(self, batch, stage: str):
        images, labels = batch
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        accuracy = self.metrics[f"{stage}_accuracy"]
        accuracy(logits, labels)
        self.log(f"{stage}_loss", loss, prog_bar=True)
        self.log(f"{stage}_accuracy", accuracy, prog_bar=True)
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train")

    def test_step(self, batch, batch_idx):
        self.step(batch, "test")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=self.momentum)


class Variants:
    """Ways to train a recipe for some steps and to score its test images.

    Args:
        recipe: Name of the recipe.
        root: Folder of the datasets.
        steps: Number of training steps, at most one epoch.
        accelerator: "cpu" or "gpu".
        batch_size: Images per training step; None takes that of the recipe.
    """

    def __init__(self, recipe: str, root: str, steps: int, accelerator: str, batch_size: int | None = None):
        self.name, self.recipe = recipe, RECIPES[recipe]
        self.root, self.steps, self.accelerator = root, steps, accelerator
        self.device = torch.device("cuda" if accelerator == "gpu" else "cpu")
        self.data = self.recipe.data_class(root=root, **({"batch_size": batch_size} if batch_size else {}))
        self.data.setup("fit")
        self.batch_size = self.data.hparams.batch_size
        self.normalises = any(self.data.mean)
        transforms = [ToTensor(), *([Normalize(self.data.mean, self.data.std)] if self.normalises else [])]
        self.torchvision_datasets = {
            split: self.data.torchvision_class(root, train=split == "train", transform=Compose(transforms))
            for split in ("train", "test")
        }

    def run(self, variant: str, seed: int) -> Seconds:
        """Run the method of the given name."""
        torch.manual_seed(seed)
        return getattr(self, variant)()

    def make_network(self) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return the plain network on the device, and its optimizer."""
        model = self.recipe.model_class()
        network, hparams = model.network.to(self.device), model.hparams
        return network, torch.optim.SGD(network.parameters(), lr=hparams.lr, momentum=hparams.momentum)

    def bare_loop(self) -> Seconds:
        """Train and score without Lightning on images in the memory of the device."""
        network, optimizer = self.make_network()
        for dataset in self.data.datasets.values():
            dataset.move_to(self.device)
        constants = (self.data.mean, self.data.std)
        mean, std = (torch.tensor(values, device=self.device).view(-1, 1, 1) for values in constants)

        def normalise(images: Tensor) -> Tensor:
            images = images.float().div_(255)
            return images.sub_(mean).div_(std) if self.normalises else images

        images, labels = self.data.datasets["train"].source.images, self.data.datasets["train"].labels
        order = torch.randperm(len(labels)).to(self.device)
        for step in range(self.steps):
            indices = order[step * self.batch_size : (step + 1) * self.batch_size]
            batch = normalise(images.index_select(0, indices))
            loss = F.cross_entropy(network(batch), labels.index_select(0, indices))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step == 0:
                training = -read_clock()
        training += read_clock()

        images, labels = self.data.datasets["test"].source.images, self.data.datasets["test"].labels
        test = -read_clock()
        loss, correct = torch.zeros((), device=self.device), torch.zeros((), dtype=torch.long, device=self.device)
        with torch.inference_mode():
            size = self.data.hparams.test_batch_size
            for batch, batch_labels in zip(images.split(size), labels.split(size), strict=True):
                logits = network(normalise(batch))
                loss += F.cross_entropy(logits, batch_labels, reduction="sum")
                correct += (logits.argmax(1) == batch_labels).sum()
            loss.item(), correct.item()
        return Seconds(training, test + read_clock())

    def bare_loop_without_onednn(self) -> Seconds:
        """Do the same without oneDNN."""
        with torch.backends.mkldnn.flags(enabled=False):
            return self.bare_loop()

    def make_loaders(self) -> list[DataLoader]:
        """Return the DataLoaders of the training and the test images, as in a tutorial."""
        return [
            DataLoader(dataset, self.batch_size, shuffle=split == "train", num_workers=self.recipe.num_workers)
            for split, dataset in self.torchvision_datasets.items()
        ]

    def tutorial_script(self) -> Seconds:
        """Train and score as PyTorch's tutorials do."""
        network, optimizer = self.make_network()
        train_loader, test_loader = self.make_loaders()
        for step, (images, labels) in enumerate(train_loader):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(images.to(self.device)), labels.to(self.device))
            loss.backward()
            optimizer.step()
            loss.item()
            if step == 0:
                training = -read_clock()
            if step == self.steps - 1:
                break
        training += read_clock()
        test = -read_clock()
        with torch.no_grad():
            for images, labels in test_loader:
                (network(images.to(self.device)).argmax(1) == labels.to(self.device)).sum().item()
        return Seconds(training, test + read_clock())

    def ordinary_lightning(self) -> Seconds:
        """Train and score OrdinaryModule with the tutorial's DataLoaders."""
        model, timer = self.recipe.model_class(), TrainingTimer()
        module = OrdinaryModule(model.network, model.hparams.lr, model.hparams.momentum)
        train_loader, test_loader = self.make_loaders()
        with tempfile.TemporaryDirectory() as folder:
            trainer = L.Trainer(
                max_epochs=1,
                limit_train_batches=self.steps,
                callbacks=[timer],
                default_root_dir=folder,
                accelerator=self.accelerator,
                devices=1,
            )
            trainer.fit(module, train_loader)
            trainer.test(module, test_loader)
        return Seconds(timer.training_seconds, timer.test_seconds)

    def classifier_modules(self) -> Seconds:
        """Train and score with the package's network and data in a plain Trainer, as in a notebook."""
        model, timer = self.recipe.model_class(), TrainingTimer()
        trainer = L.Trainer(
            max_epochs=1,
            limit_train_batches=self.steps,
            limit_val_batches=0,
            callbacks=[timer],
            accelerator=self.accelerator,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        trainer.fit(model, self.data)
        trainer.test(model, self.data)
        return Seconds(timer.training_seconds, timer.test_seconds)

    def classifier_command(self) -> Seconds:
        """Train and score with the package's command line, in this process."""
        options = {
            "data.root": Path(self.root).resolve(),
            "data.batch_size": self.batch_size,
            "threads": torch.get_num_threads(),
            "trainer.max_epochs": 1,
            "trainer.limit_train_batches": self.steps,
            "trainer.accelerator": self.accelerator,
        }
        timer = time_command(self.name, options)
        return Seconds(timer.training_seconds, timer.test_seconds)
