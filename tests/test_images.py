"""Image files of every kind that are met outside of data sets."""

import os
import re

import numpy as np
import pytest
import torch
from PIL import Image

from classifier.images import ImageError, ImageFiles, find_images, read_image

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOUR = np.stack([GREY, GREY.T, 255 - GREY], axis=2)


def read_array(path, channels: int, size: int = 16) -> np.ndarray:
    return read_image(path, (channels, size, size)).permute(1, 2, 0).squeeze(2).numpy()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_an_image_of_the_right_size_and_mode_stays_as_it_is(tmp_path, name, pixels):
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
def test_every_mode_becomes_the_grey_levels_that_it_shows(tmp_path, name, image, expected):
    image.save(tmp_path / name)
    assert np.array_equal(read_array(tmp_path / name, 1), expected)
    assert np.array_equal(read_array(tmp_path / name, 3), np.dstack([expected] * 3))


def test_what_is_transparent_becomes_white_and_half_transparent_lighter(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[0, :, 3], pixels[1, :, 3] = 255, 128
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_array(tmp_path / "a.png", 3, 4)[:, 0].tolist() == [[0] * 3, [127] * 3, [255] * 3, [255] * 3]
    palette = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8), "P")
    palette.putpalette([10, 10, 10, 200, 0, 0])
    for name in ("p.gif", "p.png"):
        palette.save(tmp_path / name, transparency=1)
        assert read_array(tmp_path / name, 3, 2).tolist() == [[[10] * 3, [255] * 3], [[255] * 3] * 2]


def test_a_photograph_is_turned_upright_by_its_exif_tag(tmp_path):
    image = Image.fromarray(np.where(np.arange(16) < 8, 0, 255).astype(np.uint8)[None].repeat(16, axis=0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees: left becomes top
    image.save(tmp_path / "a.jpg", exif=exif)
    pixels = read_array(tmp_path / "a.jpg", 1)
    assert pixels[:8].max() < 5
    assert pixels[8:].min() > 250


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.gif", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    assert np.array_equal(read_array(tmp_path / "a.gif", 1), GREY)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_other_sizes_keep_their_proportions_within_the_colour_of_their_border(tmp_path, name):
    image = Image.new("RGB", (400, 200), "white")
    image.paste((200, 0, 0), (100, 50, 300, 150))
    image.save(tmp_path / name)
    pixels = read_array(tmp_path / name, 3, 32).astype(int)
    red = pixels[:, :, 1] < 128
    assert (red.any(axis=0).sum(), red.any(axis=1).sum()) == (16, 8)
    assert pixels[:8].min() > 250
    assert pixels[-8:].min() > 250


def test_resizing_averages_over_all_pixels(tmp_path):
    Image.fromarray(np.indices((256, 256)).sum(axis=0).astype(np.uint8) % 2 * 255).save(tmp_path / "a.png")
    assert abs(read_array(tmp_path / "a.png", 1, 8).astype(int) - 127.5).max() < 2


@pytest.mark.parametrize("size", [(5000, 2), (2, 5000), (1, 1)])
def test_an_image_of_any_proportions_fits(tmp_path, size):
    Image.new("L", size, 77).save(tmp_path / "a.png")
    assert (read_array(tmp_path / "a.png", 1, 8) == 77).all()


@pytest.fixture
def broken(tmp_path):
    """Write broken files of several kinds beside one that is whole."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("whole.png", "cut.png", "cut.jpg"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(folder / name)
    for name in ("cut.png", "cut.jpg"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-500])
    (folder / "text.png").write_text("no image")
    (folder / "empty.jpg").touch()
    return folder


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "text.png", "empty.jpg", "missing.png", ""])
def test_a_file_that_is_no_image_is_named_in_one_line(broken, name):
    with pytest.raises(ImageError, match=re.escape(str(broken / name))) as error:
        read_image(broken / name, (3, 32, 32))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("limit", [1000, 3000])
def test_too_many_pixels_are_refused_like_a_broken_file(broken, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # Pillow warns above it, and fails above twice as many
    with pytest.raises(ImageError, match=r"whole\.png.*decompression bomb"):
        read_image(broken / "whole.png", (3, 32, 32))


def test_folders_give_their_images_sorted_and_without_hidden_and_other_files(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "b/a/3.webp", "a.gif", "notes.txt", ".hidden.png", "b/.thumbs/1.png", "x.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [os.path.relpath(path, tmp_path) for path in find_images([tmp_path / "notes.txt", tmp_path])]
    assert found == ["notes.txt", "a.gif", "b/10.JPG", "b/2.png", "b/a/3.webp"]


def test_a_path_that_is_missing_and_a_folder_without_images_are_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such file or folder"):
        find_images(["nowhere"])
    with pytest.raises(ValueError, match="holds no image files"):
        find_images([tmp_path])


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("few", [1000, 1], ids=["alone", "with workers"])
def test_batches_hold_what_can_be_read_and_name_the_rest(broken, monkeypatch, few):
    monkeypatch.setattr("classifier.images.FEW", few)
    files = ImageFiles([str(broken / name) for name in ("text.png", "whole.png", "cut.jpg")], (1, 8, 8))
    batches = list(files.make_loader(2))
    assert [read for _, read, _ in batches] == [[1], []]
    assert torch.equal(batches[0][0][0], read_image(broken / "whole.png", (1, 8, 8)))
    assert batches[1][0].shape == (0, 1, 8, 8)
    assert [len(problems) for _, _, problems in batches] == [1, 1]
    with pytest.raises(ValueError, match=r"remove 2 of 3 files: .*text\.png is no image; .*cut\.jpg cannot be read"):
        list(files.go_through("decoding"))


def test_image_files_are_indexed_as_a_tensor_is(broken):
    files = ImageFiles([str(broken / "whole.png")] * 3 + [str(broken / "text.png")], (1, 8, 8))
    whole = read_image(broken / "whole.png", (1, 8, 8))
    assert files.shape == (4, 1, 8, 8)
    assert torch.equal(files[-2], whole)
    assert torch.equal(files[:2], torch.stack([whole, whole]))
    assert files[torch.tensor([3, 0])].paths == [files.paths[3], files.paths[0]]
    with pytest.raises(ImageError, match=r"text\.png is no image"):
        files[2:]
