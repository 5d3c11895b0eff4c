"""Small datasets in the file formats of the real ones."""

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import torchvision


def make_images(count: int, channels: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy uint8 images (N, C, H, W) whose brightness depends on their label, and labels (N,) from 0 to 9."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count) % 10)
    noise = generator.integers(0, 25, (count, channels, size, size))
    return (noise + 23 * labels[:, None, None, None]).astype(np.uint8), labels.astype(np.uint8)


def write_fashion_mnist(root: Path, train: int = 300, test: int = 130) -> Path:
    """Write small IDX files, as FashionMNIST has them, under a root, and return the root."""
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, count, seed in (("train", train, 0), ("t10k", test, 1)):
        images, labels = make_images(count, 1, 28, seed)
        header = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes())
    return root


def write_cifar10(root: Path, monkeypatch) -> Path:
    """Write small batch files, as CIFAR10 has them, under a root; make torchvision expect their md5 sums."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name, content):
        payload = pickle.dumps(content)
        (folder / name).write_bytes(payload)
        return hashlib.md5(payload).hexdigest()  # noqa: S324

    def write_images(name, count, seed):
        images, labels = make_images(count, 3, 32, seed)
        return [name, write(name, {"data": images.reshape(count, -1), "labels": labels.tolist()})]

    dataset = torchvision.datasets.CIFAR10
    train = [write_images(name, 12, i) for i, (name, _) in enumerate(dataset.train_list)]
    test = [write_images(name, 30, 9) for name, _ in dataset.test_list]
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    monkeypatch.setattr(dataset, "train_list", train)
    monkeypatch.setattr(dataset, "test_list", test)
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "md5": write("batches.meta", {"label_names": names})})
    return root
