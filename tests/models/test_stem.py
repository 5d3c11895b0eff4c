"""The stem of the networks of other libraries: which one is chosen, and what it costs."""

from pathlib import Path

import pytest
import torch
from torch import nn

from classifier import Digits, TorchVision
from classifier.models.pretrained import PretrainedNetwork
from classifier.models.stem import count_multiply_adds
from classifier.runs.checkpoints import load_checkpoint, load_model

SHUFFLENET = "shufflenet_v2_x0_5"  # torchvision's smallest


@pytest.mark.parametrize(
    ("side", "stem", "chosen", "stride"),
    [
        (32, "auto", "full_resolution", (1, 1)),
        (33, "auto", "standard", (2, 2)),
        (64, "auto", "standard", (2, 2)),
        (32, "standard", "standard", (2, 2)),
        (64, "full_resolution", "full_resolution", (1, 1)),
    ],
)
def test_images_of_up_to_32_pixels_get_full_resolution_unless_the_option_sets_the_stem(side, stem, chosen, stride):
    model = TorchVision(name=SHUFFLENET, image_shape=(3, side, 64), stem=stem)
    assert (model.hparams.stem, model.network.conv1[0].stride) == (chosen, stride)


class Tiny(PretrainedNetwork):
    """A network that reduces images to a quarter, and then needs 8x8 of the remaining pixels."""

    def create_network(self):
        return nn.Sequential(nn.Conv2d(3, 2, 4, 4), nn.Conv2d(2, 3, 8), nn.AdaptiveMaxPool2d(1), nn.Flatten())

    def takes_size(self):
        return False

    def read_weights(self, weights):
        raise AssertionError


def test_the_other_stem_is_chosen_if_the_network_does_not_support_images_of_this_size():
    assert Tiny(image_shape=(3, 33, 33), num_classes=3).hparams.stem == "standard"
    model = Tiny(image_shape=(3, 31, 40), num_classes=3)
    assert Tiny(image_shape=(3, 28, 40), num_classes=3).hparams.stem == "full_resolution"
    with pytest.raises(ValueError, match="resnet18 cannot work on images of 28x40 pixels"):
        Tiny(image_shape=(3, 28, 40), num_classes=3, stem="standard")
    assert model.describe_stem().endswith("resnet18 cannot work on these images with the stem standard")


def test_multiply_adds_are_those_of_convolutions_and_linear_layers():
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 6 * 7, 11))
    assert count_multiply_adds(network, (3, 6, 7)) == 6 * 7 * 5 * 3 * 9 + 5 * 6 * 7 * 11


def test_the_start_of_training_prints_the_stem_of_small_images_and_what_it_costs(make_trainer, capsys):
    make_trainer(fast_dev_run=1).fit(TorchVision(name=SHUFFLENET, image_shape=(1, 8, 8)), Digits())
    line = (
        "stem: full_resolution (0.7 million multiply-adds per image, 1.9 times as many as with --model.stem standard)"
    )
    assert capsys.readouterr().out.splitlines().count(line) == 1
    model = TorchVision(name=SHUFFLENET, image_shape=(1, 8, 8), stem="standard")
    line = "stem: standard (0.3 million multiply-adds per image); --model.stem full_resolution takes 1.9 times as many"
    assert model.describe_stem() == line


def test_nothing_is_printed_about_the_stem_of_large_images_and_of_transformers():
    with torch.device("meta"):
        assert TorchVision(name=SHUFFLENET, image_shape=(3, 64, 64)).describe_stem() == ""
        assert TorchVision(name="vit_b_16", image_shape=(3, 32, 32)).describe_stem() == ""


def test_network_of_a_checkpoint_without_a_stem_keeps_full_resolution_below_64_pixels():
    model = TorchVision(name=SHUFFLENET, image_shape=(1, 48, 48), num_classes=3, stem="full_resolution").eval()
    hparams = {name: value for name, value in model.hparams.items() if name != "stem"}
    parts = {"classes": {"model": "classifier.TorchVision"}, "epoch": 0, "pytorch-lightning_version": "2.6.6"}
    torch.save({"hyper_parameters": hparams, "state_dict": model.state_dict(), **parts}, "old.ckpt")
    images = torch.rand(2, 1, 48, 48)
    for loaded in (TorchVision.load_from_checkpoint("old.ckpt"), load_model(load_checkpoint(Path("old.ckpt")))):
        assert loaded.hparams.stem == "full_resolution"
        assert torch.equal(loaded.eval()(images), model(images))
    assert TorchVision.update_hparams({"image_shape": (3, 64, 64)})["stem"] == "standard"
    assert TorchVision.update_hparams({"name": "vit_b_16", "image_shape": (3, 32, 32)})["stem"] == "standard"
    assert TorchVision.update_hparams({"stem": "standard", "image_shape": (3, 48, 48)})["stem"] == "standard"
