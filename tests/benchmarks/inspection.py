"""CPU time of `inspect_data` compared with decoding the same files once, and near duplicates among real photographs.

    python tests/benchmarks/inspection.py                       # 3,000 generated JPEG files of 224 pixels
    python tests/benchmarks/inspection.py --root data/ants_bees # 1,000 random pairs of these photographs as well

Both alternate, and the median of the ratios of CPU seconds, worker processes included, is printed. Decoding once is
what `fit` does without a cache, less the thumbnails, which only `inspect` needs.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

from classifier import ImageFolder
from classifier.analysis.duplicates import find_near_duplicates
from classifier.analysis.findings import find_problems
from classifier.analysis.inspection import inspect_data
from classifier.data.image_files.thumbnails import SIDE


def write_files(root: Path, count: int, size: int) -> None:
    """Write JPEG files of smooth random pictures with some noise, in two class folders."""
    generator = np.random.default_rng(0)
    for index in range(count):
        small = generator.integers(0, 256, (7, 7, 3), np.uint8)
        pixels = np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC)).astype(np.int16)
        pixels += generator.integers(-20, 21, pixels.shape, np.int16)
        path = root / "ab"[index % 2] / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def make_data(root: Path, size: int) -> ImageFolder:
    """Return the data module of a folder, without memory for all images and without a cache, as with 100,000 images."""
    return ImageFolder(str(root), image_size=size, cache=0, cache_limit=0)


def decode_once(root: Path, size: int) -> float:
    """Return the CPU seconds to decode and hash all files, without thumbnails."""
    data = make_data(root, size)
    no_thumbnails = mock.patch(
        "classifier.data.own_images.scan.make_thumbnails",
        lambda images, _: torch.zeros((len(images), SIDE, SIDE), dtype=torch.uint8),
    )
    start = sum(os.times()[:4])
    with no_thumbnails:
        data.decode_files(data.find_files())
    return sum(os.times()[:4]) - start


def inspect_once(root: Path, size: int) -> float:
    """Return the CPU seconds to inspect all files."""
    start = sum(os.times()[:4])
    find_problems(inspect_data(make_data(root, size)))
    return sum(os.times()[:4]) - start


def count_near_pairs(root: Path, size: int, count: int) -> tuple[int, int]:
    """Return how many of random pairs of photographs are reported as near duplicates, and the number of pairs."""
    data = ImageFolder(str(root), image_size=size)
    details = data.decode_files(data.find_files()).details
    assert details is not None
    thumbnails = details.thumbnails.numpy()
    generator = np.random.default_rng(0)
    pairs = [generator.choice(len(thumbnails), 2, replace=False) for _ in range(count)]
    return sum(len(find_near_duplicates(thumbnails[pair])[0]) for pair in pairs), len(pairs)


def main() -> None:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--root", type=Path, help="Folder of photographs, organised for ImageFolder.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.root is not None:
        found, total = count_near_pairs(options.root, options.size, 1000)
        print(f"{found} of {total:,} random pairs are reported as near duplicates")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_files(root, options.files, options.size)
        decode_once(root, options.size)  # warms up
        ratios = []
        for _ in range(options.repeats):
            decoding, inspecting = decode_once(root, options.size), inspect_once(root, options.size)
            ratios.append(inspecting / decoding)
            print(f"decoding {decoding:.2f} s, inspecting {inspecting:.2f} s, ratio {ratios[-1]:.3f}")
    print(f"median ratio: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
