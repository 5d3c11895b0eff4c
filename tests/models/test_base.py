"""The base of all networks: forward pass, hyperparameters and their limits."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.data_files import make_images
from helpers.tutorials import load_tutorial
from torch import nn
from torchvision.transforms import Compose, Normalize, ToTensor

from classifier import CNN, MLP, Airbench, ImageClassifier
from classifier.errors import SettingError


@pytest.mark.parametrize("model", [MLP(), CNN(mean=(0.5, 0.4, 0.3), std=(0.5, 0.6, 0.7))], ids=["MLP", "CNN"])
def test_logits_equal_those_of_the_tutorials_network_on_images_transformed_by_torchvision(model):
    channels, size, _ = model.hparams.image_shape
    images = torch.from_numpy(make_images(6, channels, size, 0)[0])
    transform = ToTensor()
    if model.hparams.mean:
        transform = Compose([ToTensor(), Normalize(model.hparams.mean, model.hparams.std)])
    expected = load_tutorial(model)(torch.stack([transform(image.permute(1, 2, 0).numpy()) for image in images]))
    assert torch.equal(model(images), expected)
    assert torch.equal(model(images / 255), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0, not 0.0"),
        ({"momentum": 1.0}, "momentum must be from 0 to below 1, not 1.0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0, not -1.0"),
        ({"num_classes": 1}, "num_classes must be at least 2, not 1"),
        (
            {"image_shape": (28, 28)},
            r"image_shape must be \(channels, height, width\), each above 0, .* at most 10\^8, not \(28, 28\)",
        ),
        ({"std": (0.0,)}, r"std must be above 0, not \(0.0,\)"),
        ({"nesterov": True}, "nesterov needs a momentum above 0"),
        ({"label_smoothing": 1.0}, "label_smoothing must be from 0 to below 1, not 1.0"),
        ({"lr_warmup": -0.1}, "lr_warmup must be from 0 to below 1, not -0.1"),
        ({"lr_end": 2.0}, "lr_end must be from 0 to 1, not 2.0"),
        ({"ema_decay": 1.0}, "ema_decay must be from 0 to below 1, not 1.0"),
        ({"lookahead": -1}, "lookahead must be at least 0, not -1"),
        ({"lookahead": 5, "ema_decay": 0.9}, "ema_decay and lookahead exclude each other"),
    ],
    ids=str,
)
def test_hyperparameters_out_of_range_are_refused_by_the_constructor(options, message):
    with pytest.raises(SettingError, match=message):
        MLP(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": "x"}, "lr must be above 0, not x"),
        ({"lr": None}, "lr must be above 0, not None"),
        ({"momentum": "0.9"}, "momentum must be from 0 to below 1, not 0.9"),
        ({"num_classes": "ten"}, "num_classes must be at least 2, not ten"),
        (
            {"image_shape": 28},
            r"image_shape must be \(channels, height, width\), each above 0, .* at most 10\^8, not 28",
        ),
        ({"hidden_sizes": 5}, "hidden_sizes must be above 0, not 5"),
        ({"hidden_sizes": ("wide",)}, r"hidden_sizes must be above 0, not \('wide',\)"),
        ({"lr": math.nan}, "lr must be above 0, not nan"),
        ({"lr": torch.tensor(math.nan)}, "lr must be above 0, not nan"),
        ({"lr_end": math.nan}, "lr_end must be from 0 to 1, not nan"),
    ],
    ids=str,
)
def test_values_of_a_wrong_type_and_nan_are_refused_like_values_out_of_range(options, message):
    with pytest.raises(SettingError, match=f"^{message}$"):
        MLP(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr_schedule": "step"}, "lr_schedule must be constant, linear or cosine, not step"),
        ({"lr_schedule": 1}, "lr_schedule must be constant, linear or cosine, not 1"),
        ({"tta": "rotate"}, "tta must be none, mirror or mirror_and_shift, not rotate"),
        ({"tta": ["mirror"]}, r"tta must be none, mirror or mirror_and_shift, not \('mirror',\)"),
    ],
    ids=str,
)
def test_values_that_are_not_among_the_choices_are_refused_with_the_list_of_choices(options, message):
    with pytest.raises(SettingError, match=f"^{message}$"):
        MLP(**options)


def test_mean_and_std_need_one_number_or_one_per_channel():
    with pytest.raises(SettingError, match="mean needs 1 or 3 numbers, not 2"):
        CNN(mean=(0.5, 0.5))
    assert CNN(mean=(0.5,)).mean.flatten().tolist() == [0.5, 0.5, 0.5]


def test_the_base_class_cannot_be_instantiated():
    with pytest.raises(TypeError, match="abstract"):
        ImageClassifier((1, 28, 28), 10, 0.1)


def test_all_training_options_are_off_by_default():
    class Tiny(ImageClassifier):
        def build_network(self):
            return nn.Linear(1, 10)

    off = {"nesterov": False, "label_smoothing": 0.0, "lr_schedule": "constant", "lr_warmup": 0.0, "ema_decay": 0.0}
    off |= {"lookahead": 0, "tta": "none", "channels_last": False, "weight_decay": 0.0}
    assert {name: Tiny().hparams[name] for name in off} == off


def test_numbers_and_sequences_of_other_types_become_builtin_hyperparameters():
    model = MLP(lr=np.float32(0.5), hidden_sizes=[8], class_names=list("0123456789"))
    assert dict(model.hparams) | {"lr": 0.5, "hidden_sizes": (8,), "class_names": tuple("0123456789")} == model.hparams
    assert type(model.hparams.lr) is float


def test_the_training_loss_has_smoothed_labels_and_the_metrics_have_not():
    model = MLP(image_shape=(1, 8, 8), hidden_sizes=(4,), label_smoothing=0.2)
    images, labels = torch.rand(5, 1, 8, 8), torch.arange(5)
    logits = model(images)
    smoothed = 0.8 * F.one_hot(labels, 10) + 0.02
    assert torch.allclose(model.training_step((images, labels), 0), -(smoothed * logits.log_softmax(1)).sum(1).mean())
    assert torch.allclose(model.train_metrics.compute()["loss"], F.cross_entropy(logits, labels))


def test_channels_last_changes_the_memory_format_of_weights_and_images_but_not_the_logits():
    torch.manual_seed(0)
    plain = Airbench(image_shape=(3, 20, 20), widths=(8, 8, 8))
    model = Airbench(image_shape=(3, 20, 20), widths=(8, 8, 8), channels_last=True)
    model.load_state_dict(plain.state_dict())
    images = (torch.rand(4, 3, 20, 20) * 255).byte()
    assert torch.allclose(model(images), plain(images), atol=1e-5)
    assert model.network.group2.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.normalise(images).is_contiguous(memory_format=torch.channels_last)
