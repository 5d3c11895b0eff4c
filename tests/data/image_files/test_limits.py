"""Limits on the size of image files."""

import io

import pytest
import torch
from helpers.deep_images import encode_png
from PIL import Image

from classifier.data.image_files.decoding import Decoding, ImageError, decode, read_image
from classifier.data.image_files.limits import MAX_PIXELS


def test_a_photograph_of_108_megapixels_is_decoded(tmp_path):
    Image.new("L", (12000, 9000), 77).save(tmp_path / "a.jpg")
    assert (read_image(tmp_path / "a.jpg", (1, 8, 8)) == 77).all()


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("PNG", 900), ("JPEG", 900), ("GIF", 900), ("TIFF", 900), ("WEBP", 1800), ("AVIF", 1350), ("JPEG2000", 2025)],
)
def test_a_format_that_takes_more_memory_may_have_fewer_pixels(tmp_path, name, allowed):
    Image.new("RGB", (30, 30)).save(tmp_path / "image", name)
    decode(tmp_path / "image", Decoding((3, 8, 8), max_pixels=allowed))
    with pytest.raises(ImageError, match="it has 900 pixels, above the limit of 899"):
        decode(tmp_path / "image", Decoding((3, 8, 8), max_pixels=allowed - 1))


def test_a_colour_with_16_bits_takes_twice_the_memory(tmp_path):
    pixels = torch.zeros(30, 30, 3, dtype=torch.int32).numpy().astype("u2")
    (tmp_path / "a.png").write_bytes(encode_png(pixels))
    with pytest.raises(ImageError, match="above the limit of 899 for PNG files of this kind"):
        decode(tmp_path / "a.png", Decoding((3, 8, 8), max_pixels=1799))


def test_a_header_that_describes_too_many_pixels_is_refused_before_memory_is_allocated(tmp_path):
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "BMP")
    content = bytearray(buffer.getvalue())
    content[18:26] = (20_000).to_bytes(4, "little") * 2
    (tmp_path / "a.bmp").write_bytes(content)
    with pytest.raises(ImageError, match=f"it has 400,000,000 pixels, above the limit of {MAX_PIXELS:,}"):
        read_image(tmp_path / "a.bmp", (3, 8, 8))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "F", "CMYK"])
def test_a_huge_image_is_reduced_while_it_is_converted(tmp_path, monkeypatch, mode):
    image = Image.radial_gradient("L").resize((300, 200))
    image = image.convert("F") if mode in ("F", "I;16") else image.convert("RGB").convert(mode)
    image = image.convert("I").convert("I;16") if mode == "I;16" else image
    image.save(tmp_path / "a.tif" if mode in ("F", "CMYK") else tmp_path / "a.png")
    path = next(tmp_path.iterdir())
    whole = read_image(path, (3, 10, 20), max_value=255).int()
    monkeypatch.setattr("classifier.data.image_files.conversion.REDUCED_PIXELS", 300 * 200 - 1)
    monkeypatch.setattr("classifier.data.image_files.conversion.STRIP_PIXELS", 1000)
    reduced = read_image(path, (3, 10, 20), max_value=255).int()
    assert 0 < (reduced - whole).abs().max() < 12
