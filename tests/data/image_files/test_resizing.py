"""The three ways to resize an image."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

from classifier.data.image_files.decoding import read_image
from classifier.data.image_files.resizing import resize_image

SIZES = [(60, 40), (40, 60), (37, 91), (12, 9), (200, 3)]  # width and height


def make_image(width: int, height: int) -> Image.Image:
    """Return an image of random colours."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def assert_almost_equal(image: torch.Tensor, expected: torch.Tensor) -> None:
    """Check that pixels are equal except for rounding, in noise of 0 to 255."""
    difference = (image.int() - expected.int()).abs().float()
    assert difference.max() <= 5
    assert difference.mean() < 0.3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [8, 24])
def test_crop_gives_the_pixels_of_resize_and_center_crop_of_torchvision(size, side):
    image = make_image(*size)
    resized = resize(image, [side], InterpolationMode.BICUBIC)
    expected = pil_to_tensor(center_crop(resized, [side, side]))
    assert_almost_equal(resize_image(image, side, side, "crop"), expected)


@pytest.mark.parametrize(("height", "width"), [(8, 16), (16, 8), (5, 30)])
def test_crop_fills_a_shape_of_any_proportions_with_the_centre(height, width):
    image = make_image(60, 40)
    scale = max(width / 60, height / 40)
    resized = resize(image, [max(height, int(40 * scale)), max(width, int(60 * scale))], InterpolationMode.BICUBIC)
    expected = pil_to_tensor(center_crop(resized, [height, width]))
    assert_almost_equal(resize_image(image, height, width, "crop"), expected)


@pytest.mark.parametrize("size", SIZES)
def test_stretch_is_a_plain_resize(size):
    image = make_image(*size)
    expected = pil_to_tensor(image.resize((16, 8), Image.Resampling.BICUBIC))
    assert torch.equal(resize_image(image, 8, 16, "stretch"), expected)


@pytest.mark.parametrize("way", ["letterbox", "crop", "stretch"])
def test_an_image_of_the_right_size_is_not_changed_in_any_way(tmp_path, way):
    image = make_image(20, 10)
    image.save(tmp_path / "a.png")
    assert torch.equal(read_image(tmp_path / "a.png", (3, 10, 20), way), pil_to_tensor(image))


def test_crop_of_a_long_thin_image_needs_no_large_intermediate_image():
    image = Image.new("RGB", (300_000, 1), (1, 2, 3))  # 300,000 x 224 times as many pixels after resizing it whole
    assert resize_image(image, 224, 224, "crop").flatten(1).unique(dim=1).tolist() == [[1], [2], [3]]


@pytest.mark.parametrize("way", ["letterbox", "crop", "stretch"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_at_no_less_than_the_size_that_is_needed(tmp_path, way, orientation):
    stripes = np.where(np.arange(200) // 2 % 2, 255, 0).astype(np.uint8)[:, None].repeat(1600, axis=1)
    image = Image.fromarray(stripes if orientation == 6 else stripes.T)  # 200 wide and 1,600 high when displayed
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    image.save(tmp_path / "a.png", exif=exif)
    read = [read_image(tmp_path / name, (1, 20, 100), way).int() for name in ("a.jpg", "a.png")]
    assert (read[0] - read[1]).abs().max() < 12
