"""Decoding of image files of all formats, modes and sizes."""

import contextlib
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifier.data.image_files.decoding import Decoding, ImageError, decode, read_image
from classifier.data.image_files.formats import FORMATS, get_formats

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOUR = np.stack([GREY, GREY.T, 255 - GREY], axis=2)


def read_array(path, channels: int, size: int = 16) -> np.ndarray:
    return read_image(path, (channels, size, size)).permute(1, 2, 0).squeeze(2).numpy()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_an_image_of_the_requested_size_and_mode_is_not_changed(tmp_path, name, pixels):
    Image.fromarray(pixels).save(tmp_path / name, **({"lossless": True} if name == "a.webp" else {}))
    assert np.array_equal(read_array(tmp_path / name, 1 if pixels.ndim == 2 else 3), pixels)


WITH_ALPHA = np.dstack([GREY, np.where(GREY < 128, 255, 0).astype(np.uint8)])


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("one-bit.png", Image.fromarray(GREY).point(lambda v: v >= 128, "1"), np.where(GREY < 128, 0, 255)),
        ("alpha.png", Image.fromarray(WITH_ALPHA, "LA"), np.where(GREY < 128, GREY, 255)),
        ("colour.png", Image.fromarray(GREY).convert("RGB"), GREY),
        ("palette.png", Image.fromarray(GREY).convert("P"), GREY),
        ("16-bit.png", Image.fromarray(GREY.astype(np.uint16) * 257), GREY),
        ("16-bit.pgm", Image.fromarray(GREY.astype(np.uint16) * 257), GREY),
        ("16-bit.tif", Image.fromarray(GREY.astype(np.uint16) * 257), GREY),
        ("32-bit.tif", Image.fromarray(GREY.astype(np.int32) * 8421504), GREY),
        ("0-to-1.tif", Image.fromarray(GREY.astype(np.float32) / 255), GREY),
        ("0-to-255.tif", Image.fromarray(GREY.astype(np.float32)), GREY),
        ("cmyk.tif", Image.fromarray(GREY).convert("RGB").convert("CMYK"), GREY),
    ],
)
def test_every_mode_is_converted_to_the_grey_levels_that_it_displays(tmp_path, name, image, expected):
    image.save(tmp_path / name)
    assert np.array_equal(read_array(tmp_path / name, 1), expected)
    assert np.array_equal(read_array(tmp_path / name, 3), np.dstack([expected] * 3))


def test_transparent_pixels_become_white_and_half_transparent_ones_lighter(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[0, :, 3], pixels[1, :, 3] = 255, 128
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_array(tmp_path / "a.png", 3, 4)[:, 0].tolist() == [[0] * 3, [127] * 3, [255] * 3, [255] * 3]
    palette = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8), "P")
    palette.putpalette([10, 10, 10, 200, 0, 0])
    for name in ("p.gif", "p.png"):
        palette.save(tmp_path / name, transparency=1)
        assert read_array(tmp_path / name, 3, 2).tolist() == [[[10] * 3, [255] * 3], [[255] * 3] * 2]


def test_a_photograph_is_rotated_according_to_its_exif_tag(tmp_path):
    image = Image.fromarray(np.where(np.arange(16) < 8, 0, 255).astype(np.uint8)[None].repeat(16, axis=0))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise by 90 degrees: left becomes top
    image.save(tmp_path / "a.jpg", exif=exif)
    pixels = read_array(tmp_path / "a.jpg", 1)
    assert pixels[:8].max() < 5
    assert pixels[8:].min() > 250


def test_the_first_frame_of_an_animation_is_used(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.gif", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    assert np.array_equal(read_array(tmp_path / "a.gif", 1), GREY)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_other_sizes_keep_their_proportions_and_are_padded_with_their_border_colour(tmp_path, name):
    image = Image.new("RGB", (400, 200), "white")
    image.paste((200, 0, 0), (100, 50, 300, 150))
    image.save(tmp_path / name)
    pixels = read_array(tmp_path / name, 3, 32).astype(int)
    red = pixels[:, :, 1] < 128
    assert (red.any(axis=0).sum(), red.any(axis=1).sum()) == (16, 8)
    assert pixels[:8].min() > 250
    assert pixels[-8:].min() > 250


def test_downscaling_averages_over_all_pixels(tmp_path):
    Image.fromarray(np.indices((256, 256)).sum(axis=0).astype(np.uint8) % 2 * 255).save(tmp_path / "a.png")
    assert abs(read_array(tmp_path / "a.png", 1, 8).astype(int) - 127.5).max() < 2


@pytest.mark.parametrize("size", [(5000, 2), (2, 5000), (1, 1)])
def test_an_image_of_any_proportions_is_resized(tmp_path, size):
    Image.new("L", size, 77).save(tmp_path / "a.png")
    assert (read_array(tmp_path / "a.png", 1, 8) == 77).all()


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "text.png", "empty.jpg", "missing.png", ""])
def test_a_file_that_cannot_be_decoded_is_named_in_a_one_line_error(broken, name):
    with pytest.raises(ImageError, match=re.escape(str(broken / name))) as error:
        read_image(broken / name, (3, 32, 32))
    assert len(str(error.value).splitlines()) == 1


def test_only_the_given_limit_on_the_number_of_pixels_applies(broken, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # of Pillow, for the whole process
    shape = (3, 32, 32)
    expected = read_image(broken / "intact.png", shape)
    assert torch.equal(decode(broken / "intact.png", Decoding(shape, max_pixels=64 * 64)).image, expected)
    with pytest.raises(ImageError, match=r"intact\.png.* it has 4,096 pixels, above the limit of 4,095 \(max"):
        decode(broken / "intact.png", Decoding(shape, max_pixels=64 * 64 - 1))
    assert Image.MAX_IMAGE_PIXELS == 10


def test_a_format_that_pillow_hands_to_a_program_is_refused_whatever_its_name(tmp_path, monkeypatch):
    def start_program(*_args, **_options):
        pytest.fail("a program was started")

    monkeypatch.setattr("subprocess.check_call", start_program)
    monkeypatch.setattr("subprocess.Popen", start_program)
    for name, message in (("a.eps", "EPS files are not read; convert them to PNG"), ("a.png", "is not an image")):
        Image.fromarray(COLOUR).save(tmp_path / name, "EPS")
        with pytest.raises(ImageError, match=message):
            read_image(tmp_path / name, (3, 16, 16))


def test_every_format_that_is_read_exists_in_pillow():
    assert set(FORMATS) <= set(get_formats())


def test_a_progressive_jpeg_with_many_scans_is_refused(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content[content.rindex(b"\xff\xda") : -2]
    for repeated in (80, 100):
        (tmp_path / f"{repeated}.jpg").write_bytes(content[:-2] + last * repeated + content[-2:])
    assert read_image(tmp_path / "80.jpg", (3, 16, 16)).shape == (3, 16, 16)
    with pytest.raises(ImageError, match="it has 110 scans, above the limit of 100"):
        read_image(tmp_path / "100.jpg", (3, 16, 16))


def test_the_largest_value_is_that_of_the_whole_image_although_strips_are_converted(tmp_path, monkeypatch):
    Image.fromarray(GREY.astype(np.float32) / 10).save(tmp_path / "a.tif")
    whole = read_array(tmp_path / "a.tif", 1)
    monkeypatch.setattr("classifier.data.image_files.conversion.STRIP_PIXELS", 40)
    assert np.array_equal(read_array(tmp_path / "a.tif", 1), whole)
    assert whole.max() == 26  # 25.5 of 255


@pytest.mark.parametrize("name", ["a\nb.png", "a\0b.png", "a\udcffb.png"])
def test_a_name_that_cannot_be_printed_gives_a_one_line_error(tmp_path, name):
    with pytest.raises(ImageError, match=r"a\?b\.png cannot be read as an image") as error:
        read_image(str(tmp_path / name), (3, 16, 16))
    assert str(error.value).isprintable()


def test_files_are_closed_after_reading_intact_and_damaged_images(broken):
    (broken / "16-bit.tif").write_bytes(b"II*\0")
    os.mkfifo(broken / "pipe.png")
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for i in range(300):
        with contextlib.suppress(ImageError):
            read_image(sorted(broken.iterdir())[i % 7], (3, 16, 16))
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def test_proportions_are_those_of_the_full_image_in_every_format(tmp_path):
    image = Image.linear_gradient("L").resize((500, 335)).convert("RGB")
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "a.jpg", quality=95)  # is decoded at a quarter of its size, 125 x 84
    png, jpeg = (read_image(tmp_path / name, (3, 32, 32)).float() for name in ("a.png", "a.jpg"))
    assert (png - jpeg).abs().max() < 8
