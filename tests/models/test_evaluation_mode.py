"""Training and evaluation mode of layers."""

import pytest
from torch import nn

from classifier.models.evaluation_mode import evaluation_mode


def test_every_layer_returns_to_its_own_mode_even_after_an_error():
    network = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.BatchNorm1d(1), nn.Dropout()))
    network[1][0].eval()
    with evaluation_mode(network):
        assert not any(layer.training for layer in network.modules())
    assert [layer for layer in network.modules() if not layer.training] == [network[1][0]]
    with pytest.raises(RuntimeError, match="stop"), evaluation_mode(network):
        raise RuntimeError("stop")
    assert [layer for layer in network.modules() if not layer.training] == [network[1][0]]
