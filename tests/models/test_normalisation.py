"""The input of networks: uint8 images, and float images in [0, 1]."""

import warnings

import pytest
import torch

from classifier import MLP

SHAPE = (1, 4, 4)


@pytest.mark.parametrize(
    ("images", "values"),
    [
        (torch.full((2, *SHAPE), 255.0), "torch.float32 from 255 to 255"),
        (torch.linspace(-1, 1, 16).reshape(1, *SHAPE), "torch.float32 from -1 to 1"),
        (torch.full((1, *SHAPE), float("nan")), "torch.float32 from nan to nan"),
    ],
)
def test_float_images_outside_0_to_1_are_reported_once_per_network(images, values):
    model = MLP(image_shape=SHAPE)
    with pytest.warns(UserWarning, match=f"The images are {values}, but float images must be from 0 to 1"):
        model(images)
    model(images)
    with pytest.warns(UserWarning, match="must be from 0 to 1"):
        MLP(image_shape=SHAPE)(images)


def test_only_the_first_batch_of_floats_is_read(monkeypatch):
    model = MLP(image_shape=SHAPE)
    model(torch.ones(2, *SHAPE))
    monkeypatch.setattr(torch.Tensor, "aminmax", lambda _: pytest.fail("the values were read"))
    model(torch.ones(2, *SHAPE))
    MLP(image_shape=SHAPE)(torch.full((2, *SHAPE), 255, dtype=torch.uint8))


def test_nothing_is_read_while_a_network_is_traced_or_compiled(monkeypatch):
    images = torch.full((2, *SHAPE), 255.0)
    monkeypatch.setattr("classifier.models.normalisation.warn_about_range", lambda _: pytest.fail("it was read"))
    traced = MLP(image_shape=SHAPE).requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(lambda batch: traced(batch), images, check_trace=False)
    with monkeypatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)
        MLP(image_shape=SHAPE)(images)
    with torch.device("meta"):
        MLP(image_shape=SHAPE)(torch.zeros(2, *SHAPE))
