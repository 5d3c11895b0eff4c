"""Test-time augmentation."""

import pytest
import torch
import torch.nn.functional as F

from classifier import MLP


def mirror(model, images):
    return (model(images) + model(images.flip(-1))) / 2


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_evaluation_averages_the_views_of_an_image_but_forward_and_training_do_not(dtype):
    images = (torch.rand(6, 1, 8, 8) * 255).byte()
    images = images if dtype == torch.uint8 else images / 255
    batch = images, torch.arange(6)
    model = MLP(image_shape=(1, 8, 8), hidden_sizes=(4,), mean=(0.5,), std=(0.2,)).eval()
    plain, mirrored = model(images), mirror(model, images)
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="reflect").to(dtype)
    shifted = (mirror(model, padded[..., :8, :8]) + mirror(model, padded[..., 2:, 2:])) / 2
    for tta, expected in {"none": plain, "mirror": mirrored, "mirror_and_shift": (mirrored + shifted) / 2}.items():
        model.hparams.tta = tta
        assert torch.allclose(model.infer(images), expected, atol=1e-6)
        assert torch.allclose(model.predict_step(images, 0), expected.softmax(1), atol=1e-6)
        assert torch.allclose(model.predict_step(batch, 0), expected.softmax(1), atol=1e-6)
        assert torch.equal(model(images), plain)
        model.training_step(batch, 0)
        assert torch.equal(model.train_metrics.pending[-1][0], plain)
        model.validation_step(batch, 0)
        assert torch.allclose(model.val_metrics.pending[-1][0], expected, atol=1e-6)
        model.test_step(batch, 0)
        assert torch.allclose(model.test_metrics.pending[-1][0], expected, atol=1e-6)
