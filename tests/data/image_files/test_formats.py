"""The formats of image files."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from classifier.data.image_files.decoding import ImageError, read_image
from classifier.data.image_files.formats import describe_missing_decoder, get_extensions, get_formats


@pytest.fixture
def _without_heif(monkeypatch):
    """Let the program find no package for HEIC files."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    for function in (get_formats, get_extensions):
        function.cache_clear()
    yield
    for function in (get_formats, get_extensions):
        function.cache_clear()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, None) for name in ("a.jpg", "a.JPEG", "a.mpo", "a.png", "a.tiff", "a.txt", "a", "a.csv", ".heic")),
        ("a.CR2", "raw camera files are not read; convert them to PNG"),
        ("a/b.jxl", "JPEG XL files are not read; convert them to PNG"),
        ("a.svg", "SVG files are not read; convert them to PNG"),
        ("a.psd", "PSD files are not read; convert them to PNG"),
        ("a.eps", "EPS files are not read; convert them to PNG"),
    ],
)
def test_an_image_format_that_is_not_read_is_recognised_by_its_extension(name, reason):
    assert describe_missing_decoder(name) == reason


@pytest.mark.usefixtures("_without_heif")
def test_without_the_package_for_heic_a_message_names_it(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    for extension in (".heic", ".HEIF", ".hif"):
        assert describe_missing_decoder(f"a{extension}") == 'HEIC files need pip install "classifier[heif]"'
        assert extension.lower() not in get_extensions()
    with pytest.raises(ImageError, match=r'a\.heic: HEIC files need pip install "classifier\[heif\]"'):
        read_image(tmp_path / "a.heic", (3, 8, 8))


@pytest.mark.parametrize("orientation", [1, 6])
def test_with_the_package_heic_files_are_read_and_rotated_once(tmp_path, orientation):
    pytest.importorskip("pillow_heif")
    assert {".heic", ".heif", ".hif"} <= get_extensions()
    assert describe_missing_decoder("a.heic") is None
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.where(np.arange(64) < 32, 20, 220).astype(np.uint8)[None].repeat(64, axis=0)  # dark on the left
    Image.fromarray(pixels).convert("RGB").save(tmp_path / "a.heic", "HEIF", quality=100, exif=exif.tobytes())
    image = read_image(tmp_path / "a.heic", (1, 64, 64))[0].float()
    dark, light = (image[:, :30], image[:, 34:]) if orientation == 1 else (image[:30], image[34:])
    assert torch.allclose(dark, torch.tensor(20.0), atol=12)
    assert torch.allclose(light, torch.tensor(220.0), atol=12)
