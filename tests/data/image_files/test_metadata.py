"""Image files with damaged metadata and intact pixels."""

import io
import random

import numpy as np
import pytest
import torch
from helpers.metadata_changes import Part, change_metadata
from helpers.metadata_files import make_exif, make_files, make_jpeg
from PIL import Image

from classifier.data.image_files.decoding import ImageError, read_image

SHAPE = (3, 24, 24)  # of the files, once padded


def list_orientations(image: torch.Tensor) -> list[torch.Tensor]:
    """Return the eight orientations of an image (C, H, W)."""
    return [torch.rot90(mirrored, turns, (1, 2)) for mirrored in (image, image.flip(2)) for turns in range(4)]


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_a_photograph_is_rotated_although_other_tags_of_its_exif_are_invalid(tmp_path, byte_order):
    pixels = np.where(np.arange(24) < 12, 0, 255).astype(np.uint8)[None].repeat(24, axis=0)
    for name in ("a.jpg", "a.png", "a.webp"):
        Image.fromarray(pixels).save(tmp_path / name, exif=b"Exif\0\0" + make_exif(byte_order))
        image = read_image(tmp_path / name, (1, 24, 24))[0]
        assert image[:11].max() < 10, name
        assert image[13:].min() > 245, name


@pytest.mark.parametrize("image", make_files(), ids=lambda image: image.kind)
def test_changed_metadata_do_not_change_the_pixels(tmp_path, image):
    path, chosen = tmp_path / "image", random.Random(0)  # noqa: S311 no secret
    path.write_bytes(image.join())
    expected = read_image(path, SHAPE)
    for _ in range(12):
        content, changed = change_metadata(image, chosen)
        path.write_bytes(content)
        read = read_image(path, SHAPE)
        allowed = list_orientations(expected) if any(part.is_orientation for part in changed) else [expected]
        assert any(torch.equal(read, other) for other in allowed), [part.name for part in changed]


def test_the_orientation_of_a_file_with_other_damaged_metadata_is_kept(tmp_path):
    image = make_jpeg()
    pixels = b"".join(part for part in image.parts if isinstance(part, bytes))
    plain, damaged = tmp_path / "plain.jpg", tmp_path / "damaged.jpg"
    plain.write_bytes(pixels)
    index = next(i for i, part in enumerate(image.parts) if isinstance(part, Part) and part.name == "ICC")
    damaged.write_bytes(image.join({index: b"ICC_PROFILE\0"}))
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(io.BytesIO(damaged.read_bytes()))  # what Pillow makes of it
    assert torch.equal(read_image(damaged, SHAPE), torch.rot90(read_image(plain, SHAPE), -1, (1, 2)))


def test_damaged_pixels_are_refused_whatever_the_metadata(tmp_path):
    for image in make_files():
        if image.kind in ("jpeg", "png", "gif", "tiff-tiff_lzw"):
            content = image.join()
            last = max(image.parts, key=lambda part: len(part) if isinstance(part, bytes) else 0)
            (tmp_path / "image").write_bytes(content[: content.index(last) + len(last) // 2])
            with pytest.raises(ImageError):
                read_image(tmp_path / "image", SHAPE)
