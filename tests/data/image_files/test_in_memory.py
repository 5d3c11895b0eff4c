"""Images in memory are converted like the same images in files."""

import numpy as np
import pytest
import torch
from helpers.photographs import make_photographs
from PIL import Image

from classifier import read_image
from classifier.data.image_files.decoding import Decoding
from classifier.data.image_files.in_memory import read_any_image
from classifier.errors import SettingError

DECODING = Decoding((3, 24, 20))
[PHOTOGRAPH] = make_photographs(1, height=33, width=47)


@pytest.mark.parametrize("resize", ["letterbox", "crop", "stretch"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "RGB", "RGBA", "RGBa", "CMYK", "I;16", "I", "F"])
def test_pillow_image_of_any_mode_is_read_like_its_file(mode, resize, tmp_path):
    image = Image.fromarray(PHOTOGRAPH)
    if mode in ("RGBA", "LA", "RGBa", "La"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        image = image.convert("LA").convert(mode) if mode in ("LA", "La") else image.convert(mode)
    elif mode == "I;16":
        image = Image.fromarray(PHOTOGRAPH[..., 0].astype(np.uint16) * 200)
    else:
        image = image.convert(mode)
    stored = image.convert(mode.upper()) if mode in ("La", "RGBa") else image
    stored.save(tmp_path / "image.tif")
    for shape in ((3, 24, 20), (1, 50, 50)):
        decoding = Decoding(shape, resize=resize)
        expected = read_image(tmp_path / "image.tif", shape, resize)
        assert torch.equal(read_any_image(Image.open(tmp_path / "image.tif"), decoding), expected)
        assert torch.equal(read_any_image(stored, decoding), expected)


def test_arrays_and_tensors_of_every_type_are_read_like_the_file(tmp_path):
    Image.fromarray(PHOTOGRAPH).save(tmp_path / "image.png")
    expected = read_any_image(tmp_path / "image.png", DECODING)
    tensor = torch.from_numpy(PHOTOGRAPH).permute(2, 0, 1)
    for image in (str(tmp_path / "image.png"), PHOTOGRAPH, PHOTOGRAPH / 255, (PHOTOGRAPH / 255).astype("float16")):
        assert torch.equal(read_any_image(image, DECODING), expected)
    for image in (tensor, tensor / 255, (tensor / 255).double().requires_grad_()):
        assert torch.equal(read_any_image(image, DECODING), expected)
    for image in ((PHOTOGRAPH / 255).astype(">f4"), (PHOTOGRAPH / 255).astype(np.longdouble)):
        assert torch.equal(read_any_image(image, DECODING), expected)
    coarse = (tensor / 255).bfloat16()
    assert torch.equal(read_any_image(coarse, DECODING), read_any_image(coarse.float(), DECODING))
    grey = PHOTOGRAPH[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    expected = read_image(tmp_path / "grey.png", (3, 24, 20))
    for image in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None] / 255):
        assert torch.equal(read_any_image(image, DECODING), expected)
    Image.fromarray(grey > 100).save(tmp_path / "mask.png")
    assert torch.equal(read_any_image(grey > 100, DECODING), read_image(tmp_path / "mask.png", (3, 24, 20)))
    Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "deep.png")
    deep = read_any_image(grey.astype(np.uint16) * 16, DECODING._replace(max_value=4095.0))
    assert torch.equal(deep, read_image(tmp_path / "deep.png", (3, 24, 20), max_value=4095.0))
    deep = grey.astype(np.uint16) * 16
    decoding = Decoding((1, *grey.shape), max_value=4095.0)  # the shape of the tensor
    for image in (deep.astype(">u2"), torch.from_numpy(deep), torch.from_numpy(deep)[None]):
        assert torch.equal(
            read_any_image(image, decoding), read_image(tmp_path / "deep.png", *decoding[:1], max_value=4095)
        )


@pytest.mark.parametrize("name", ["image.png", "image.tif"])  # Pillow itself rotates the second one
def test_pillow_image_is_rotated_by_its_exif_orientation_once_and_not_changed(name, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PHOTOGRAPH).save(tmp_path / name, exif=exif)
    image, unchanged = Image.open(tmp_path / name), Image.open(tmp_path / name)
    assert torch.equal(read_any_image(image, DECODING), read_image(tmp_path / name, (3, 24, 20)))
    assert np.array_equal(np.array(image), np.array(unchanged))


def test_tensor_with_the_shape_of_the_network_is_unchanged_whatever_its_channels():
    images = torch.randint(256, (5, 6, 7), dtype=torch.uint8)
    assert torch.equal(read_any_image(images, Decoding((5, 6, 7))), images)
    assert torch.equal(read_any_image(images / 255, Decoding((5, 6, 7))), images)
    read_any_image(images, Decoding((5, 6, 7)))[:] = 0
    assert images.any()  # a copy is returned


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"must have the shape .* This one has \(4, 4, 2\) as"),
        (np.zeros((0, 4), np.uint8), r"must have the shape .* This one has \(0, 4\) as"),
        (np.zeros(4, np.uint8), "must have the shape"),
        (np.full((4, 4), 255.0), "must be from 0 to 1, not from 255 to 255: divide them by the value of white"),
        (np.full((4, 4), np.nan), "must be from 0 to 1"),
        (torch.full((3, 4, 4), -0.1), "must be from 0 to 1"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "must be uint8, bool or float, or uint16 in grey images, not int64"),
        (np.full((4, 4), "cat"), "must be uint8, bool or float, .*, not str"),
        (np.full((4, 4), None), "must be uint8, bool or float, .*, not object"),
        (np.zeros((4, 4, 3), np.uint16), "must be uint8, bool or float, .*, not uint16"),
        (7, "must be a path, a Pillow image, an array or a tensor, not int"),
    ],
)
def test_array_that_is_no_image_is_refused(image, message):
    with pytest.raises(SettingError, match=message):
        read_any_image(image, DECODING)


def test_read_only_array_is_read_without_a_warning():
    pixels = np.asarray(Image.fromarray(PHOTOGRAPH))
    assert not pixels.flags.writeable
    assert torch.equal(read_any_image(pixels, DECODING), read_any_image(PHOTOGRAPH, DECODING))
