"""Images with more than 8 bits per channel."""

import numpy as np
import pytest
from helpers.deep_images import encode_png, encode_ppm, encode_tiff
from PIL import Image

from classifier.data.image_files.decoding import Decoding, decode, read_image
from classifier.data.image_files.intensities import choose_max_value

GREY = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)  # 12 bits
COLOUR = np.dstack([GREY, GREY.T, 4095 - GREY])
OPAQUE = np.full((16, 16, 1), 65535, np.uint16)


@pytest.mark.parametrize(
    ("highest", "is_float", "max_value"),
    [
        *((0, False, 255), (255, False, 255), (256, False, 1023), (1024, False, 4095), (4095, False, 4095)),
        *((4096, False, 16383), (16384, False, 65535), (65536, False, 2**31 - 1)),
        *((0.2, True, 1), (1.0, True, 1), (1.2, True, 255), (255.0, True, 255), (300.0, True, 65535), (1e6, True, 1e6)),
    ],
)
def test_the_smallest_usual_range_that_holds_all_values_is_chosen(highest, is_float, max_value):
    assert choose_max_value(highest, is_float) == max_value


def test_a_given_value_becomes_white_and_values_beyond_the_range_are_clipped(tmp_path):
    for values in (np.uint16, np.int32, np.float32):
        pixels = np.array([[0, 1000], [2000, 4000]], values)
        Image.fromarray(pixels).save(tmp_path / "a.tif")
        decoded = decode(tmp_path / "a.tif", Decoding((1, 2, 2), max_value=2000))
        assert decoded.image.flatten().tolist() == [0, 128, 255, 255]
        assert (decoded.highest, decoded.is_float) == (4000, values is np.float32)
    Image.fromarray(np.array([[-5, 0.5]], np.float32)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", (1, 1, 2), max_value=1).flatten().tolist() == [0, 128]


def test_images_with_8_bits_or_less_do_not_depend_on_the_range(tmp_path):
    pixels = np.array([[0, 1], [254, 255]], np.uint8)
    for name, image in (("8.png", Image.fromarray(pixels)), ("1.png", Image.fromarray(pixels).convert("1"))):
        image.save(tmp_path / name)
        decoded = decode(tmp_path / name, Decoding((1, 2, 2), max_value=4095))
        assert decoded.image.equal(read_image(tmp_path / name, (1, 2, 2)))
        assert (decoded.highest, decoded.is_float) == (None, False)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rgb.png", encode_png(COLOUR)),
        ("rgba.png", encode_png(np.dstack([COLOUR, OPAQUE]))),
        ("rgb.ppm", encode_ppm(COLOUR)),
        ("little.tif", encode_tiff(COLOUR)),
        ("big.tif", encode_tiff(COLOUR, ">")),
        ("compressed.tif", encode_tiff(COLOUR, compress=True)),
        ("rgba.tif", encode_tiff(np.dstack([COLOUR, OPAQUE]))),
        ("planes.tif", encode_tiff(COLOUR, planar=True)),
    ],
)
def test_all_bits_of_colours_with_16_bits_are_used(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for max_value in (4095, None):
        decoded = decode(tmp_path / name, Decoding((3, 16, 16), max_value))
        expected = (COLOUR.astype(float) * 255 / (max_value or 65535)).round()
        assert (decoded.image.permute(1, 2, 0).numpy() == expected).all()
        assert (decoded.highest, decoded.is_float) == (4095, False)


def test_all_bits_of_grey_with_alpha_are_used_and_transparent_pixels_are_white(tmp_path):
    alpha = np.where(np.arange(16) < 8, 65535, 0).astype(np.uint16)[None].repeat(16, axis=0)
    (tmp_path / "a.png").write_bytes(encode_png(np.dstack([GREY, alpha])))
    image = read_image(tmp_path / "a.png", (1, 16, 16), max_value=4095)[0].numpy()
    assert (image == np.where(alpha > 0, (GREY * (255 / 4095)).round(), 255)).all()
