"""The networks of timm, adapted to the data."""

from unittest.mock import Mock

import pytest
import torch

from classifier import Timm

timm = pytest.importorskip("timm", reason="timm is not installed: pip install -e '.[timm]'")
save_file = pytest.importorskip("safetensors.torch").save_file
SMALL = "test_efficientnet"  # timm's network for tests, with 0.4 million parameters


def test_network_equals_timms_with_the_same_weights():
    model = Timm(name=SMALL, image_shape=(3, 64, 64), num_classes=7).eval()
    network = timm.create_model(SMALL, num_classes=7).eval()
    network.load_state_dict(model.network.state_dict())
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model(images), network(images))


@pytest.mark.parametrize(
    ("name", "size", "stem"),
    [
        (SMALL, (28, 28), "full_resolution"),
        ("test_resnet", (48, 40), "standard"),
        ("test_vit", (32, 48), "standard"),
        ("test_convnext", (28, 28), "full_resolution"),
        ("repvgg_a0", (40, 40), "standard"),  # its first block has several convolutions
    ],
)
def test_every_parameter_gets_a_gradient_from_small_grey_images(name, size, stem):
    model = Timm(name=name, image_shape=(1, *size), num_classes=3)
    assert model.hparams.stem == stem
    images = torch.randint(256, (2, 1, *size), dtype=torch.uint8)
    assert model(images).shape == (2, 3)
    model.training_step((images, torch.tensor([0, 2])), 0).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_weights_in_a_file_set_all_layers_but_the_last_and_the_normalisation():
    network = timm.create_model(SMALL)
    torch.save(network.state_dict(), "weights.pth")
    model = Timm(name=SMALL, weights="weights.pth", image_shape=(3, 64, 64), num_classes=7)
    assert (model.hparams.mean, model.hparams.std) == (network.default_cfg["mean"], network.default_cfg["std"])
    given = network.state_dict()
    changed = {name for name, value in model.network.state_dict().items() if not torch.equal(value, given[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert not any(model.network.classifier.weight.flatten())
    assert Timm(name=SMALL, weights="weights.pth", image_shape=(1, 64, 64)).hparams.mean == (pytest.approx(0.449),)
    with pytest.raises(ValueError, match=r"weights weights\.pth do not fit test_resnet: .* is in only one of the two"):
        Timm(name="test_resnet", weights="weights.pth")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "efficientnet_bo"}, "timm has no network efficientnet_bo; did you mean efficientnet_b"),
        ({"name": "hf-hub:someone/network"}, "timm has no network hf-hub:someone/network; timm.list_models"),
        ({"name": "local-dir:folder"}, "timm has no network local-dir:folder"),
        ({"name": SMALL, "weights": "FOO"}, "weights FOO: there is no such file, and timm has DEFAULT, r160_in1k"),
        (
            {"name": "test_convnext", "image_shape": (3, 3, 3), "stem": "standard"},
            r"test_convnext cannot work on images of 3x3 pixels \(.*Kernel size",
        ),
        ({"name": "test_vit", "stem": "full_resolution"}, "test_vit has no stem that could be changed"),
    ],
    ids=str,
)
def test_names_weights_and_image_sizes_that_timm_does_not_support_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Timm(**options)


@pytest.mark.usefixtures("_offline")
def test_weights_of_timm_are_read_from_its_cache_and_otherwise_refused_or_reported(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", Mock(return_value=None))
    with pytest.raises(ValueError, match=f"the weights of {SMALL} could not be downloaded from https://.*no conn"):
        Timm(name=SMALL, weights="DEFAULT")
    assert (
        f"{SMALL} is trained from scratch, because its pretrained weights"
        in Timm(name=SMALL, weights="auto").weights_report
    )
    file = tmp_path / "model.safetensors"
    network = timm.create_model(SMALL)
    save_file(network.state_dict(), file)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", Mock(return_value=str(file)))
    model = Timm(name=SMALL, weights="auto", image_shape=(1, 28, 28), num_classes=3)
    assert torch.equal(model.network.conv_head.weight, network.conv_head.weight)
    assert model.hparams.weights == "DEFAULT"


def test_checkpoint_contains_everything_that_prediction_needs(run):
    torch.save(timm.create_model(SMALL).state_dict(), "weights.pth")
    options = ("--model", "Timm", "--model.name", SMALL, "--model.weights", "weights.pth", "--pictures=false")
    run("fit", "--config=digits", *options, "--trainer.limit_train_batches", "1", "--trainer.max_epochs", "1")
    assert "(360 images)" in run("test", "--ckpt_path", "last")
    model = Timm.load_from_checkpoint("lightning_logs/version_0/checkpoints/last.ckpt")
    assert (model.hparams.weights, model.hparams.mean) == (None, (pytest.approx(0.449),))


def test_missing_package_is_one_line_that_names_the_extra(monkeypatch, fail):
    monkeypatch.setattr("classifier.models.timm_models.find_spec", Mock(return_value=None))
    status, line = fail("fit", "--config=digits", "--model", "Timm")
    assert (status, line) == (1, 'python -m classifier: error: Timm needs the package timm: pip install -e ".[timm]"')
