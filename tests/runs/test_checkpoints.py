"""Loading checkpoints: what is refused, and those of earlier versions."""

import os
from pathlib import Path

import pytest
import torch
from helpers.processes import REPOSITORY
from helpers.tutorials import load_tutorial

from classifier import CIFAR10, CNN, MLP, FashionMNIST, ImageFolder
from classifier.runs.checkpoints import get_settings, load_checkpoint, load_data, load_model

GOOD = {"classes": {"model": "classifier.models.MLP"}, "hyper_parameters": {}, "state_dict": {}, "epoch": 0}
GOOD["pytorch-lightning_version"] = "2.6.6"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 begins as a zip"], ids=["empty", "text", "truncated"])
def test_file_that_is_not_a_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is not a checkpoint of classifier, or is damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "wrong",
    [{"classes": {"model": 5}}, {"hyper_parameters": [1]}, {"state_dict": {"x": 1}}, {"epoch": None}, {"classes": {}}],
    ids=str,
)
def test_checkpoint_with_a_part_of_the_wrong_type_is_refused(tmp_path, wrong):
    torch.save({**GOOD, **wrong}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="is not a checkpoint of classifier, or is damaged"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_network_whose_settings_or_weights_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"the settings in the checkpoint do not fit MLP: .*unknown"):
        load_model({**GOOD, "hyper_parameters": {"unknown": 1}})
    with pytest.raises(ValueError, match="the checkpoint does not fit this MLP"):
        load_model(GOOD)


def test_pickle_that_runs_code_is_refused_and_not_run(tmp_path, monkeypatch):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "last.ckpt"
    torch.save({**GOOD, "hyper_parameters": Malicious()}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of classifier, or is damaged"):
        load_checkpoint(path)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # makes PyTorch run code where weights_only is not set
    with pytest.raises(ValueError, match="it contains objects other than tensors and plain values"):
        MLP.load_from_checkpoint(path)
    assert not (tmp_path / "owned").exists()


def test_checkpoints_of_version_0_1_and_of_today_load_and_one_of_a_newer_version_is_refused():
    model = MLP()
    today = {**GOOD, "hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}
    for name, version in (("classifier.models.MLP", {}), ("classifier.MLP", {"format_version": 2})):
        torch.save({**today, "classes": {"model": name}, **version}, "a.ckpt")
        loaded = load_model(load_checkpoint("a.ckpt"))
        assert torch.equal(loaded.network[1].weight, model.network[1].weight)
    torch.save({**today, "classes": {"model": "classifier.MLP"}, "format_version": 4}, "a.ckpt")
    with pytest.raises(ValueError, match=r"a.ckpt .*: a newer version wrote it, in format 4"):
        load_checkpoint("a.ckpt")


@pytest.mark.parametrize(
    ("run", "model_class", "data_class", "epochs", "first_class"),
    [
        ("tutorial_cifar10", CNN, CIFAR10, 2, "airplane"),
        ("tutorial_fashion_mnist", MLP, FashionMNIST, 30, "T-shirt/top"),
    ],
)
def test_shipped_run_of_version_0_1_loads_with_its_weights_and_names(run, model_class, data_class, epochs, first_class):
    path = REPOSITORY / "lightning_logs" / run / "checkpoints" / "last.ckpt"
    checkpoint = load_checkpoint(path)
    assert "format_version" not in checkpoint
    assert checkpoint["epoch"] + 1 == epochs
    model, data = load_model(checkpoint), load_data(checkpoint)
    assert (type(model), type(data)) == (model_class, data_class)
    assert model.hparams.class_names[0] == first_class
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert stored.keys() == model.state_dict().keys()
    assert all(torch.equal(value, stored[name]) for name, value in model.state_dict().items())
    images = torch.rand(3, *model.hparams.image_shape)
    mean, std = (torch.tensor(model.hparams[name]).view(-1, 1, 1) for name in ("mean", "std"))
    expected = load_tutorial(model)((images - mean) / std)
    assert torch.allclose(model.eval()(images), expected, atol=1e-5)


def test_test_share_of_an_image_folder_of_version_0_1_is_read_as_test_split():
    for name in ("cat", "dog"):
        Path("own", name).mkdir(parents=True)
    classes = {"model": "classifier.models.MLP", "data": "classifier.folder.ImageFolder"}
    torch.save(
        {**GOOD, "classes": classes, "datamodule_hyper_parameters": {"root": "own", "test_share": 0.25}}, "a.ckpt"
    )
    checkpoint = load_checkpoint(Path("a.ckpt"))
    settings = get_settings(checkpoint)["data"]
    assert settings == {"class_path": "classifier.ImageFolder", "init_args": {"root": "own", "test_split": 0.25}}
    data = load_data(checkpoint)
    assert type(data) is ImageFolder
    assert data.hparams.test_split == 0.25


def test_class_outside_the_package_is_refused_unless_it_is_allowed(monkeypatch):
    Path("other.py").write_text("from classifier import MLP\nclass Other(MLP): pass\n")
    monkeypatch.syspath_prepend(".")
    model = MLP()
    stored = {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}
    checkpoint = {**GOOD, **stored, "classes": {"model": "other.Other"}}
    with pytest.raises(ValueError, match=r"model is other\.Other; if you trust it, add --allow_import other"):
        load_model(checkpoint)
    assert type(load_model(checkpoint, ["other"])).__name__ == "Other"


def test_data_whose_images_the_network_does_not_take_are_refused_before_a_network_is_built_for_them(fail):
    for name in ("cat", "dog"):
        Path("own", name).mkdir(parents=True)
    model = MLP(image_shape=(3, 8, 8), num_classes=2)
    stored = {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict()}
    classes = {"model": "classifier.MLP", "data": "classifier.ImageFolder"}
    data = {"root": "own", "image_size": 5000}
    torch.save({**GOOD, **stored, "classes": classes, "datamodule_hyper_parameters": data}, "a.ckpt")
    status, line = fail("test", "--ckpt_path=a.ckpt")
    assert (status, "data has images (3, 5000, 5000), its network takes (3, 8, 8)" in line) == (1, True), line
