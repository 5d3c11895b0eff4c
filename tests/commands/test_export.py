"""Exported files: their inputs and outputs, and what happens when one cannot be written."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from helpers.data_files import make_images, write_fashion_mnist
from helpers.runs import FIT_DIGITS, get_weights
from helpers.tutorials import TutorialCNN
from torch import nn

from classifier import CNN, MLP, Airbench, TorchVision, export_classifier
from classifier.commands import export as export_module
from classifier.commands.export import export
from classifier.models.prediction import InputFormat

NAMES = tuple("abcdefghij")
FORMAT = InputFormat({"resize": "crop", "max_value": 4095.0, "max_pixels": 10**6})


def make_cnn() -> tuple[CNN, torch.Tensor]:
    """Return a CNN and images (1000, 3, 32, 32) for it."""
    images = torch.from_numpy(make_images(1000, 3, 32, 0)[0])
    model = CNN(mean=(0.5, 0.4, 0.3), std=(0.5, 0.6, 0.7), class_names=NAMES)
    model.stored_input = FORMAT
    return model, images


def test_pth_file_loads_into_the_network_of_the_tutorial_with_equal_logits():
    model, images = make_cnn()
    assert export_classifier(model, "model.pth", images[:10]) == 0
    network = TutorialCNN()
    network.load_state_dict(torch.load("model.pth", weights_only=True))
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (model.hparams.mean, model.hparams.std))
    assert torch.equal(network((images[:10] / 255 - mean) / std), model(images[:10]))


def test_pt2_file_takes_any_number_of_uint8_or_float_images_and_stores_names_and_preprocessing():
    model, images = make_cnn()
    assert export_classifier(model, "model.pt2", images[:3]) < 1e-4
    extra = {"class_names": "", "preprocessing": ""}
    network = torch.export.load("model.pt2", extra_files=extra).module()
    assert json.loads(extra["class_names"]) == list(NAMES)
    check_preprocessing(extra["preprocessing"], "uint8 from 0 to 255, or float32 from 0 to 1")
    expected = model(images)
    for count in (1, 2, 7, 1000):
        for batch in (images[:count], images[:count] / 255):
            assert torch.allclose(network(batch), expected[:count], atol=1e-4)


def test_onnx_file_takes_any_number_of_uint8_images_and_stores_names_and_preprocessing():
    onnxruntime = pytest.importorskip("onnxruntime")
    _, images = make_cnn()
    model = Airbench(widths=(8, 8, 8), mean=(0.5, 0.4, 0.3), class_names=NAMES, channels_last=True)
    model.stored_input = FORMAT
    model.eval().whiten(images)
    assert export_classifier(model, "model.onnx", images[:3]) < 1e-4
    assert [file.name for file in Path().iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession("model.onnx")
    [source], [target] = session.get_inputs(), session.get_outputs()
    assert (source.name, source.type, source.shape) == ("images", "tensor(uint8)", ["batch", 3, 32, 32])
    assert (target.name, target.type, target.shape) == ("logits", "tensor(float)", ["batch", 10])
    texts = session.get_modelmeta().custom_metadata_map
    assert json.loads(texts["class_names"]) == list(NAMES)
    check_preprocessing(texts["preprocessing"], "uint8 from 0 to 255")
    expected = model(images)
    for count in (1, 2, 7, 1000):
        [logits] = session.run(None, {"images": images[:count].numpy()})
        assert torch.allclose(torch.from_numpy(logits), expected[:count], atol=1e-4)


def check_preprocessing(text: str, types: str) -> None:
    """Check the description of the images that `FORMAT` gives."""
    preprocessing = json.loads(text)
    steps = " ".join(preprocessing.pop("steps"))
    assert preprocessing == {"image_shape": [3, 32, 32], "resize": "crop", "max_value": 4095.0}
    for words in (
        "4095.0 becomes 255",
        "to RGB",
        "to 32 x 32 (height x width)",
        "crop the centre",
        f"it as {types}, in",
    ):
        assert words in steps


def test_export_needs_only_a_checkpoint_and_checks_the_file_on_the_test_images(run, fail):
    run(*FIT_DIGITS, "--trainer.max_epochs=1")
    status, line = fail("export", "--ckpt_path", "last")
    assert (status, "arguments are required: --output" in line) == (2, True), line
    printed = run("export", "--ckpt_path", "last", "--output", "digits.pth").splitlines()
    assert printed[1:] == ["digits.pth: same classes on 360 test images, logits differ by at most 0.0e+00"]
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    network.load_state_dict(torch.load("digits.pth", weights_only=True))
    trained = get_weights()
    assert all(torch.equal(value, trained[f"network.{key}"]) for key, value in network.state_dict().items())


def test_export_without_a_checkpoint_takes_the_newest_run_and_a_configuration_file(run, capsys):
    run(*FIT_DIGITS, "--trainer.max_epochs=1")
    Path("export.yaml").write_text("output: from_file.pth\n")
    printed = run("export", "--config", "export.yaml")
    assert printed.startswith("checkpoint: lightning_logs/version_0/checkpoints/last.ckpt\nfrom_file.pth: same classes")
    export("function.pth")
    assert capsys.readouterr().out == printed.replace("from_file", "function")
    files = [torch.load(name, weights_only=True) for name in ("from_file.pth", "function.pth")]
    assert all(torch.equal(value, files[1][key]) for key, value in files[0].items())


def test_export_without_the_data_checks_the_file_on_random_images_and_downloads_nothing(run):
    write_fashion_mnist(Path("data"))
    run("fit", "--trainer.max_epochs", "1")
    shutil.rmtree("data")
    printed = run("export", "--ckpt_path", "last", "--output", "shoes.pth")
    assert "shoes.pth: same classes on 1,000 random images" in printed
    assert sorted(file.name for file in Path().iterdir()) == ["lightning_logs", "shoes.pth"]


@pytest.mark.parametrize(
    ("output", "status", "message"),
    [
        ("model.h5", 2, "--output model.h5: the file name must end in .pth, .pt2, .onnx"),
        ("nowhere/model.pt2", 1, "--output nowhere/model.pt2: no file can be written there"),
        ("folder.pt2", 1, "--output folder.pt2: no file can be written there"),
        ("model.onnx", 1, '--output model.onnx needs onnx, onnxscript, onnxruntime: pip install -e ".[onnx]"'),
    ],
)
def test_output_that_cannot_be_written_is_refused_before_anything_else(fail, monkeypatch, output, status, message):
    Path("folder.pt2").mkdir()
    monkeypatch.setattr(export_module, "find_spec", lambda _: None)
    checkpoint = {"classes": {"model": "classifier.models.MLP"}, "hyper_parameters": {}, "state_dict": {}, "epoch": 0}
    checkpoint["pytorch-lightning_version"] = "2.6.6"
    torch.save(checkpoint, "last.ckpt")
    code, line = fail("export", "--ckpt_path", "last.ckpt", "--output", output)
    assert (code, message in line) == (status, True), line


class Shifted(MLP):
    """A network whose logits differ from those of its layers, so that an exported file differs, too."""

    def forward(self, images):
        return super().forward(images) + 2e-4


def test_file_that_differs_from_the_network_is_removed_and_does_not_replace_another():
    images = torch.zeros(5, 1, 28, 28, dtype=torch.uint8)
    Path("model.pth").write_text("earlier")
    with pytest.raises(ValueError, match=r"in the class of 0 of 5 images, in the logits by 2\.0e-04"):
        export_classifier(Shifted(), "model.pth", images)
    assert [(file.name, file.read_text()) for file in Path().iterdir()] == [("model.pth", "earlier")]


def test_export_leaves_a_network_in_training_mode_unchanged():
    model = TorchVision(name="shufflenet_v2_x0_5", image_shape=(1, 8, 8))
    model.network.conv5.eval()
    before = [layer.training for layer in model.modules()]
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    export_classifier(model, "model.pth", torch.zeros(5, 1, 8, 8, dtype=torch.uint8))
    assert [layer.training for layer in model.modules()] == before
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("extension", ["pth", "pt2"])
def test_file_that_is_damaged_while_it_is_written_is_removed(monkeypatch, extension):
    module = torch.export if extension == "pt2" else torch
    save = module.save

    def save_damaged(content, path, **options):
        save(content, path, **options)
        written = bytearray(Path(path).read_bytes())
        written[written.index(weights) + 5] ^= 1
        Path(path).write_bytes(written)

    model = MLP()
    weights = model.network[1].weight.detach().numpy().tobytes()
    monkeypatch.setattr(module, "save", save_damaged)
    with pytest.raises(ValueError, match=r"^--output model\.\w+ cannot be read back: Bad CRC-32"):
        export_classifier(model, f"model.{extension}", torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    assert list(Path().iterdir()) == []
