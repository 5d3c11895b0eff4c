"""Synthetic photographs, and a folder of them in which every fault is planted."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def make_photographs(count: int, height: int = 96, width: int = 128, seed: int = 0) -> np.ndarray:
    """Return different colour images (N, H, W, 3), uint8, with the power spectrum of photographs: 1 / frequency^2."""
    generator = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    amplitude = 1 / np.maximum(np.hypot(y, x), 1 / width)
    noise = generator.normal(size=(count, 3, height, width))
    noise += 2 * noise.mean(axis=1, keepdims=True) * 3**0.5  # channels of photographs are alike
    pixels = np.fft.ifft2(np.fft.fft2(noise) * amplitude).real
    pixels = 128 + 50 * pixels / pixels.std(axis=(1, 2, 3), keepdims=True)
    return pixels.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def recompress(image: Image.Image, quality: int, file_format: str = "JPEG") -> bytes:
    """Return an image in another compression."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, quality=quality)
    return buffer.getvalue()


def write_faulty_folder(root: Path) -> None:
    """Write folders of the classes ant, bee and fly, with one fault of every kind.

    - `test/ant/leak.png` is `train/ant/0.png`, and `test/bee/near.jpg` is `train/bee/0.png` as JPEG of quality 40;
    - `train/bee/conflict.png` is `train/ant/1.png`, and `train/ant/twin.png` is `train/ant/2.png`;
    - `train/ant/broken.jpg` is cut, and `train/ant/notes.txt` and `test/.hidden` are no images;
    - fly has one training image, and no test image.
    """
    photographs = iter(make_photographs(12))
    for folder, count in (("train/ant", 4), ("train/bee", 3), ("train/fly", 1), ("test/ant", 1), ("test/bee", 2)):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(next(photographs)).save(root / folder / f"{i}.png")
    for copy, original in (
        ("test/ant/leak.png", "train/ant/0.png"),
        ("train/bee/conflict.png", "train/ant/1.png"),
        ("train/ant/twin.png", "train/ant/2.png"),
    ):
        (root / copy).write_bytes((root / original).read_bytes())
    (root / "test/bee/near.jpg").write_bytes(recompress(Image.open(root / "train/bee/0.png"), 40))
    cut = recompress(Image.fromarray(next(photographs)), 90)
    (root / "train/ant/broken.jpg").write_bytes(cut[: len(cut) // 2])
    (root / "train/ant/notes.txt").touch()
    (root / "test/.hidden").touch()
