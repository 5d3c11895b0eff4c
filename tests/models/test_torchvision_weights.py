"""Pretrained weights for the networks of torchvision."""

from pathlib import Path

import pytest
import torch
import torchvision

from classifier import Digits, TorchVision
from classifier.models.weight_files import crop_kernels

SHUFFLENET = "shufflenet_v2_x0_5"  # torchvision's smallest


@pytest.fixture
def pretrained(tmp_path, monkeypatch):
    """Return a network of torchvision with weights that are in PyTorch's cache, and their file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = torchvision.models.get_model(SHUFFLENET)
    file = tmp_path / "hub" / "checkpoints" / Path(torchvision.models.get_model_weights(SHUFFLENET).DEFAULT.url).name
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)
    return network, file


def test_pretrained_weights_set_the_normalisation_and_all_layers_but_the_last(pretrained):
    network, file = pretrained
    given = network.state_dict()
    model = TorchVision(name=SHUFFLENET, weights="DEFAULT", image_shape=(3, 32, 32))
    changed = [name for name, value in model.network.state_dict().items() if not torch.equal(value, given[name])]
    assert changed == ["fc.weight", "fc.bias"]
    assert not any(model.network.fc.weight.flatten())
    assert (model.hparams.mean, model.hparams.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert TorchVision(name=SHUFFLENET, weights="DEFAULT", mean=(0.1,), image_shape=(3, 32, 32)).hparams.mean == (0.1,)
    own = TorchVision(name=SHUFFLENET, weights=file, image_shape=(3, 64, 64), num_classes=1000).eval()
    assert own.hparams.mean is None
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(own(images), network.eval()(images))


def test_pretrained_weights_give_a_grey_image_the_logits_of_its_three_channel_version(pretrained):
    network, _ = pretrained
    model = TorchVision(name=SHUFFLENET, weights="DEFAULT", image_shape=(1, 64, 64), num_classes=1000).eval()
    assert model.hparams.mean == (pytest.approx(0.449),)
    images = torch.rand(2, 1, 64, 64)
    normalised = ((images - model.mean) / model.std).expand(2, 3, 64, 64)
    assert torch.allclose(model(images), network.eval()(normalised), atol=1e-5)


def test_a_larger_kernel_is_cropped_to_its_centre():
    kernels = torch.arange(2 * 3 * 7 * 7.0).view(2, 3, 7, 7)
    assert torch.equal(crop_kernels(kernels, torch.Size((2, 3, 3, 3))), kernels[:, :, 2:5, 2:5])
    assert torch.equal(crop_kernels(kernels, torch.Size((2, 1, 7, 7))), kernels.sum(1, keepdim=True))


def test_weights_that_are_damaged_or_of_another_network_are_refused(pretrained):
    _, file = pretrained
    with pytest.raises(ValueError, match=r"do not fit resnet18: .* is in only one of the two"):
        TorchVision(name="resnet18", weights=str(file))
    with pytest.raises(ValueError, match=r"stage2.* has the shape \(24, 24, 1, 1\), not \(58, 24, 1, 1\)"):
        TorchVision(name="shufflenet_v2_x1_0", weights=str(file))
    file.write_text("no weights")
    message = rf"{file} is damaged .*save https://download.pytorch.org.*{file.name} under that name"
    with pytest.raises(ValueError, match=message):
        TorchVision(name=SHUFFLENET, weights="DEFAULT")
    with pytest.raises(ValueError, match="no state_dict can be read from this file"):
        TorchVision(name=SHUFFLENET, weights=str(file))


def test_the_checkpoint_of_a_pretrained_network_is_loaded_without_the_pretrained_weights(pretrained, run):
    options = ("--model", "TorchVision", "--model.name", SHUFFLENET, "--model.weights", "DEFAULT", "--pictures=false")
    run("fit", "--config=digits", *options, "--trainer.limit_train_batches", "2", "--trainer.max_epochs", "1")
    pretrained[1].unlink()
    assert "(360 images)" in run("test", "--ckpt_path", "last")
    path = "lightning_logs/version_0/checkpoints/last.ckpt"
    loaded = TorchVision.load_from_checkpoint(path)
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert all(torch.equal(value, stored[name]) for name, value in loaded.state_dict().items())
    assert loaded.hparams.mean == (pytest.approx(0.449),)


def test_damaged_file_of_weights_is_refused_and_one_in_the_older_format_is_read(pretrained):
    network, _ = pretrained
    options = {"name": SHUFFLENET, "image_shape": (3, 64, 64), "num_classes": 1000}
    torch.save(network.state_dict(), "old.pth", _use_new_zipfile_serialization=False)
    TorchVision(weights="old.pth", **options)
    torch.save(network.state_dict(), "new.pth")
    content = bytearray(Path("new.pth").read_bytes())
    content[len(content) // 2] ^= 1
    Path("new.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights new\.pth: no state_dict can be read from this file \(Bad CRC-32"):
        TorchVision(weights="new.pth", **options)
    torch.save({"fc.weight": 5}, "wrong.pth")
    with pytest.raises(ValueError, match=r"its content\.fc\.weight is not a dense tensor"):
        TorchVision(weights="wrong.pth", **options)


@pytest.mark.usefixtures("_offline")
def test_weights_auto_are_used_from_the_cache_and_otherwise_reported_as_missing(pretrained, run):
    network, file = pretrained
    model = TorchVision(name=SHUFFLENET, weights="auto", image_shape=(3, 64, 64))
    assert (model.hparams.weights, model.hparams.mean) == ("DEFAULT", (0.485, 0.456, 0.406))
    assert model.weights_report == f"{SHUFFLENET} starts from pretrained weights, and is fine-tuned"
    assert torch.equal(model.network.conv5[0].weight, network.conv5[0].weight)
    file.unlink()
    with pytest.raises(ValueError, match="could not be downloaded"):
        TorchVision(name=SHUFFLENET, weights="DEFAULT")
    options = ("--model", "TorchVision", "--model.name", SHUFFLENET, "--model.weights", "auto", "--pictures=false")
    printed = run("fit", "--config=digits", *options, "--trainer.fast_dev_run", "1")
    assert f"{SHUFFLENET} is trained from scratch, because its pretrained weights are missing" in printed
    assert f"{file} could not be downloaded (<urlopen error no connection>); save https://" in printed


@pytest.mark.usefixtures("_offline")
def test_statistics_of_pretrained_weights_are_kept_in_training(pretrained, make_trainer):
    network, file = pretrained
    options = {"name": SHUFFLENET, "weights": "auto", "image_shape": (1, 8, 8), "keep_statistics": True}
    model = TorchVision(**options)
    make_trainer(limit_train_batches=2, limit_val_batches=1).fit(model, Digits())
    given = network.state_dict()
    changed = {name for name, value in model.network.state_dict().items() if not torch.equal(value, given[name])}
    assert "fc.bias" in changed
    assert changed <= dict(model.network.named_parameters()).keys()
    file.unlink()
    assert TorchVision(**options).hparams.keep_statistics is False


def test_statistics_cannot_be_kept_without_pretrained_weights(fail):
    options = ("--model", "TorchVision", "--model.name", "resnet18", "--model.keep_statistics", "true")
    status, line = fail("fit", "--config=digits", "--pictures=false", *options)
    assert (status, "keep_statistics needs pretrained weights: set --model.weights, or" in line) == (2, True), line
