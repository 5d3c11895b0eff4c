"""The fully connected network."""

import pytest
import torch
from helpers.tutorials import TutorialMLP

from classifier import MLP


def test_the_network_has_the_tutorials_number_of_parameters():
    assert sum(parameter.numel() for parameter in MLP().parameters()) == 235_146


def test_initial_weights_are_those_that_pytorch_gives_the_tutorials_network():
    torch.manual_seed(3)
    ours = list(MLP().network.parameters())
    torch.manual_seed(3)
    theirs = list(TutorialMLP().parameters())
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_hidden_layers_without_units_are_refused():
    with pytest.raises(ValueError, match=r"hidden_sizes must be above 0, not \(256, 0\)"):
        MLP(hidden_sizes=(256, 0))
