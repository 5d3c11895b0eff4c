"""Inversion of images with a light border."""

import torch

from classifier.data.image_files.inversion import invert_images, is_dark_on_light


def test_image_is_dark_on_light_if_its_border_is_lighter_than_mid_grey_on_average():
    images = torch.zeros(4, 1, 4, 4, dtype=torch.uint8)
    images[1] = 255
    images[2, :, 1:-1, 1:-1] = 255  # inside the border
    images[3] = 255
    images[3, :, 1:-1, 1:-1] = 0
    assert is_dark_on_light(images).tolist() == [False, True, False, True]
    assert is_dark_on_light(
        torch.tensor([127, 128], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 3, 3)
    ).tolist() == [
        False,
        True,
    ]


def test_images_with_a_light_border_are_inverted_for_a_network_trained_on_a_dark_background():
    images = torch.tensor([0, 100, 200, 255], dtype=torch.uint8).view(4, 1, 1, 1).repeat(1, 1, 3, 3)
    for invert, dark_background, expected in (
        ("auto", True, [0, 100, 55, 0]),
        ("auto", False, [0, 100, 200, 255]),
        ("yes", False, [255, 155, 55, 0]),
        ("no", True, [0, 100, 200, 255]),
    ):
        changed = images.clone()
        inverted = invert_images(changed, invert, dark_background)
        assert changed[:, 0, 0, 0].tolist() == expected
        assert inverted.tolist() == [new != old for new, old in zip(expected, images[:, 0, 0, 0].tolist(), strict=True)]
