"""Folders of image files: two datasets, and files that cannot be decoded."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def write_images(folder: Path, count: int, level: int, seed: int = 0) -> None:
    """Write noisy images of several sizes, formats and modes whose pixels start at a grey level."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed + level)
    for i in range(count):
        pixels = (level + generator.integers(0, 50, (20 + i % 3, 20, 3))).astype(np.uint8)
        image = Image.fromarray(pixels)
        (image.convert("L") if i % 2 else image).save(folder / f"{i:02}.{('png', 'jpg', 'bmp')[i % 3]}")


@pytest.fixture
def split_root(tmp_path):
    """Write class folders for training and testing, with other files among them, and return their root."""
    for split, count in (("train", 12), ("test", 5)):
        for name, level in (("Zebra", 0), ("ant", 100), ("cat", 200)):
            write_images(tmp_path / "pets" / split / name, count, level, seed=len(split))
    (tmp_path / "pets/train/.hidden").mkdir()
    (tmp_path / "pets/train/ant/notes.txt").touch()
    return tmp_path / "pets"


@pytest.fixture
def plain_root(tmp_path):
    """Write class folders that are not split into training and testing, and return their root."""
    for name, count, level in (("ant", 8, 0), ("bee", 20, 100), ("cat", 4, 200)):
        write_images(tmp_path / "pets" / name, count, level)
    return tmp_path / "pets"


@pytest.fixture
def broken(tmp_path):
    """Return a folder with the readable image `intact.png` and several files that cannot be decoded."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("intact.png", "cut.png", "cut.jpg"):
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(folder / name)
    for name in ("cut.png", "cut.jpg"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-500])
    (folder / "text.png").write_text("no image")
    (folder / "empty.jpg").touch()
    return folder
