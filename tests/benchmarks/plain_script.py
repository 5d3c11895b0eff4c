"""An ordinary Lightning script that trains on torchvision's ImageFolder; `first_epoch.py` compares the program to it.

python tests/benchmarks/plain_script.py ROOT NUM_WORKERS
"""

import sys

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, random_split
from torchvision import datasets, transforms


class PlainModule(L.LightningModule):
    """The CNN of the CIFAR10 recipe for images of 64 pixels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(16 * 13 * 13, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
            nn.Linear(84, num_classes),
        )

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self.network(images), labels)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        images, labels = batch
        self.log("accuracy", (self.network(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.001, momentum=0.9)

    def on_train_epoch_end(self) -> None:
        print("epoch 1/1", flush=True)


def run(root: str, num_workers: int) -> None:
    """Train for one epoch."""
    torch.set_num_threads(1)  # as the program
    normalize = transforms.Normalize([0.5] * 3, [0.5] * 3)
    images = datasets.ImageFolder(root, transforms.Compose([transforms.ToTensor(), normalize]))
    train, test = random_split(images, [0.8, 0.2], torch.Generator().manual_seed(0))
    options = {"num_workers": num_workers, "persistent_workers": num_workers > 0}
    trainer = L.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loaders = DataLoader(train, 64, shuffle=True, **options), DataLoader(test, 64, **options)
    trainer.fit(PlainModule(len(images.classes)), *loaders)


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
