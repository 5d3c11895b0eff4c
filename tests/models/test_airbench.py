"""The network of the Airbench paper: layers, initial weights and trained parameters."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from classifier import Airbench, Digits


def make_photographs(count: int, channels: int = 3, size: int = 20) -> torch.Tensor:
    """Return uint8 images with correlated pixels and channels."""
    torch.manual_seed(0)
    coarse = torch.rand(count, channels, 4, 4) + torch.rand(count, 1, 4, 4)
    return (F.interpolate(coarse, size, mode="bilinear") * 120).byte()


class Photographs(Digits):
    """Images of 20x20 pixels."""

    image_shape = (3, 20, 20)

    def read(self, split):
        return make_photographs(40), torch.arange(40) % 10


def test_the_network_has_the_layers_of_the_paper():
    network = Airbench().network
    assert sum(p.numel() for p in network.parameters()) == 1_972_792
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trained == 1_972_792 - 24 * 12 - 2 * (64 + 256 + 256)  # neither whitening nor the scale of BatchNorm
    shapes = []
    images = torch.rand(2, 3, 32, 32)
    for layer in network:
        images = layer(images)
        shapes.append(tuple(images.shape[1:]))
    sizes = [(24, 31, 31)] * 2 + [(64, 15, 15), (256, 7, 7), (256, 3, 3), (256, 1, 1), (256,), (10,), (10,)]
    assert shapes == sizes
    norm = network.group1.norm1
    assert (norm.eps, norm.momentum) == (1e-12, 0.4)
    hidden = torch.rand(2, 256)
    assert torch.allclose(network.scale(network.linear(hidden)), hidden @ network.linear.weight.T / 9)


def test_initial_convolutions_copy_their_input_channels():
    group = Airbench().network.group1
    images = torch.rand(1, 24, 8, 8)
    assert torch.allclose(group.conv1(images)[:, :24], images)
    assert group.conv1.weight[24:].std() > 0.01
    hidden = torch.rand(1, 64, 4, 4)
    assert torch.allclose(group.conv2(hidden), hidden)


def test_whitened_patches_are_uncorrelated_with_a_variance_of_1_and_come_with_both_signs():
    model, images = Airbench(image_shape=(3, 20, 20), mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3)), make_photographs(50)
    model.whiten(images)
    weights = model.network.whiten.weight.double()
    outputs = F.conv2d(model.normalise(images).double(), weights).transpose(0, 1).flatten(1)
    assert torch.equal(outputs[:12], -outputs[12:])
    covariance = outputs[:12] @ outputs[:12].T / outputs.shape[1]
    # The eps of 5e-4 reduces each variance v to v / (v + eps), and the smallest ones most.
    assert torch.allclose(covariance, covariance.diag().diag(), atol=1e-4)
    assert covariance.diag()[0] == pytest.approx(1, abs=1e-3)
    assert (covariance.diag() <= 1).all()
    assert (covariance.diag().diff() <= 1e-6).all()


def test_fit_whitens_by_the_first_training_images_and_trains_the_bias_for_bias_epochs(make_trainer, monkeypatch):
    monkeypatch.setattr(Airbench, "num_images", 30)
    model, data = Airbench(image_shape=(3, 20, 20), widths=(4, 4, 4), bias_epochs=2, momentum=0.9), Photographs()
    biases = []
    monkeypatch.setattr(Airbench, "on_train_batch_end", lambda *_: biases.append(model.network.whiten.bias.clone()))
    make_trainer(max_epochs=4).fit(model, data)
    expected = Airbench(image_shape=(3, 20, 20), widths=(4, 4, 4))
    expected.whiten(make_photographs(40)[:30])
    assert torch.equal(model.network.whiten.weight, expected.network.whiten.weight)
    assert [torch.equal(a, b) for a, b in pairwise(biases)] == [False, True, True]
    assert not torch.equal(model.network.group1.conv1.weight, expected.network.group1.conv1.weight)


def test_batchnorm_biases_have_a_higher_learning_rate_and_the_same_effective_weight_decay():
    model = Airbench(lr=0.5, weight_decay=0.01)
    others, norms = model.group_parameters()
    assert (norms["lr"], norms["weight_decay"]) == (0.5 * 64, 0.01 / 64)
    assert [tuple(p.shape) for p in norms["params"]] == [(64,), (64,), (256,), (256,), (256,), (256,)]
    parts = {id(p) for p in [*norms["params"], *others["params"]]}
    assert {id(p) for p in model.parameters() if p.requires_grad} <= parts
    assert len(parts) == len(norms["params"]) + len(others["params"])


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 48), (2, 17, 17)])
def test_images_of_other_shapes_are_accepted(shape):
    model = Airbench(image_shape=shape, widths=(4, 6, 8), num_classes=3)
    model.whiten(torch.randint(256, (20, *shape), dtype=torch.uint8))
    assert model(torch.randint(256, (2, *shape), dtype=torch.uint8)).shape == (2, 3)


def test_small_images_wrong_widths_and_training_without_whitening_are_refused(make_trainer):
    with pytest.raises(ValueError, match="Airbench needs images of at least 17x17 pixels, these have 8x8"):
        Airbench(image_shape=(1, 8, 8))
    with pytest.raises(ValueError, match=r"widths must be three numbers above 0, not \(4, 4\)"):
        Airbench(widths=(4, 4))
    with pytest.raises(ValueError, match="call its whiten"):
        make_trainer(limit_val_batches=0).fit(Airbench(widths=(4, 4, 4)), DataLoader([0]), DataLoader([0]))
