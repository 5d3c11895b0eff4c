"""The networks of the two tutorials, written as plain modules."""

import torch
import torch.nn.functional as F
from torch import nn

from classifier import CNN, ImageClassifier


class TutorialCNN(nn.Module):
    """The network of PyTorch's tutorial "Training a Classifier", copied from there."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class TutorialMLP(nn.Module):
    """The fully connected network 784-256-128-10 as a plain module."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, 10)])

    def forward(self, x):
        first, second, third = self.layers
        return third(F.relu(second(F.relu(first(x.flatten(1))))))


def load_tutorial(model: ImageClassifier) -> nn.Module:
    """Return the tutorial's network with the weights of a CNN or an MLP."""
    if isinstance(model, CNN):
        network = TutorialCNN()
        network.load_state_dict(model.network.state_dict())
    else:
        network = TutorialMLP()
        weights = model.network.state_dict().values()
        network.load_state_dict(dict(zip(network.state_dict(), weights, strict=True)))
    return network
