"""The networks of torchvision, adapted to the data."""

import pytest
import torch
import torchvision

from classifier import TorchVision

SHUFFLENET = "shufflenet_v2_x0_5"  # torchvision's smallest


def test_a_network_for_images_of_64_pixels_equals_torchvisions():
    model = TorchVision(name=SHUFFLENET, image_shape=(3, 64, 64), num_classes=7).eval()
    network = torchvision.models.get_model(SHUFFLENET, num_classes=7).eval()
    network.load_state_dict(model.network.state_dict())
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(model(images), network(images))


def test_a_resnet_for_small_images_has_a_3x3_stem_and_reduces_them_to_an_eighth():
    network = TorchVision(name="resnet18", image_shape=(3, 32, 32)).network
    shapes = {}
    for name in ("conv1", "maxpool", "layer4"):
        layer = network.get_submodule(name)
        layer.register_forward_hook(lambda *args, name=name: shapes.update({name: tuple(args[-1].shape)}))
    network(torch.zeros(2, 3, 32, 32))
    assert shapes == {"conv1": (2, 64, 32, 32), "maxpool": (2, 64, 32, 32), "layer4": (2, 512, 4, 4)}
    assert network.conv1.weight.shape == (64, 3, 3, 3)


@pytest.mark.parametrize("name", ["squeezenet1_1", "regnet_y_400mf", "googlenet"])
def test_every_parameter_gets_a_gradient_from_small_grey_images(name):
    model = TorchVision(name=name, image_shape=(1, 28, 28), num_classes=3)
    images, labels = torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.tensor([0, 2])
    assert model(images).shape == (2, 3)
    model.training_step((images, labels), 0).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnt18"}, "has no network resnt18; did you mean resnet18"),
        ({"name": "vit_b_32"}, r"vit_b_32 cannot work on images of 28x28 pixels \(.*patch size"),
        (
            {"name": "vit_b_16", "image_shape": (3, 32, 32), "stem": "full_resolution"},
            "vit_b_16 has no stem that could be changed",
        ),
        ({"weights": "FOO"}, "there is no such file, and torchvision has IMAGENET1K_V1, DEFAULT"),
    ],
    ids=str,
)
def test_names_and_image_sizes_that_torchvision_does_not_support_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TorchVision(**options)


def test_a_training_batch_of_one_image_is_normalised_by_the_running_statistics():
    model = TorchVision(name=SHUFFLENET, image_shape=(1, 8, 8))
    image = torch.rand(1, 1, 8, 8)
    before = {name: value.clone() for name, value in model.network.named_buffers()}
    model.training_step((image, torch.tensor([3])), 0).backward()
    assert all(layer.training for layer in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.network.named_buffers())
    assert torch.equal(model(image), model.eval()(image))


def test_layers_frozen_in_evaluation_mode_stay_frozen_after_a_training_batch_of_one_image():
    model = TorchVision(name=SHUFFLENET, image_shape=(1, 8, 8))
    frozen = [*model.network.stage2.eval().modules(), *model.network.conv5.eval().modules()]
    for count in (1, 2):
        before = {name: value.clone() for name, value in model.network.stage2.named_buffers()}
        model.training_step((torch.rand(count, 1, 8, 8), torch.arange(count)), 0).backward()
        assert [layer for layer in model.network.modules() if not layer.training] == frozen
        assert all(torch.equal(value, before[name]) for name, value in model.network.stage2.named_buffers())
