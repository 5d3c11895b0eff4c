"""Small datasets in the file formats of the real ones."""

import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torchvision


def make_images(count: int, channels: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy uint8 images (N, C, H, W) whose brightness depends on their label, and labels (N,) from 0 to 9."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count) % 10)
    noise = generator.integers(0, 25, (count, channels, size, size))
    return (noise + 23 * labels[:, None, None, None]).astype(np.uint8), labels.astype(np.uint8)


def write_fashion_mnist(root: Path, train: int = 300, test: int = 130, name: str = "FashionMNIST") -> Path:
    """Write small IDX files, as FashionMNIST and MNIST have them, under a root, and return the root."""
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for split, count, seed in (("train", train, 0), ("t10k", test, 1)):
        images, labels = make_images(count, 1, 28, seed)
        header = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes())
    return root


def write_cifar10(root: Path, monkeypatch) -> Path:
    """Write small batch files, as CIFAR10 has them, under a root; make torchvision expect their md5 sums."""
    dataset = torchvision.datasets.CIFAR10
    train = [(name, make_batch("labels", 12, seed)) for seed, (name, _) in enumerate(dataset.train_list)]
    test = [(name, make_batch("labels", 30, seed=9)) for name, _ in dataset.test_list]
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    return write_cifar(root, monkeypatch, dataset, train, test, {"label_names": names})


def write_cifar100(root: Path, monkeypatch) -> Path:
    """Write small batch files, as CIFAR100 has them, under a root; make torchvision expect their md5 sums."""
    train, test = make_batch("fine_labels", 60, seed=0), make_batch("fine_labels", 30, seed=9)
    for batch in (train, test):
        batch["coarse_labels"] = batch["fine_labels"]
        batch["fine_labels"] = [11 * label for label in batch["fine_labels"]]
    dataset = torchvision.datasets.CIFAR100
    return write_cifar(root, monkeypatch, dataset, [("train", train)], [("test", test)], {"fine_label_names": []})


def make_batch(label_key: str, count: int, seed: int) -> dict[str, Any]:
    """Return the contents of a batch file of CIFAR: pixels and labels from 0 to 9."""
    images, labels = make_images(count, 3, 32, seed)
    return {"data": images.reshape(count, -1), label_key: labels.tolist()}


def write_cifar(root: Path, monkeypatch, dataset: type, train: list, test: list, meta: dict[str, list[str]]) -> Path:
    """Write the named contents of a CIFAR dataset; make torchvision expect their md5 sums, and return the root."""
    folder = root / dataset.base_folder
    folder.mkdir(parents=True)

    def write(name, content):
        payload = pickle.dumps(content)
        (folder / name).write_bytes(payload)
        return hashlib.md5(payload).hexdigest()  # noqa: S324

    monkeypatch.setattr(dataset, "train_list", [[name, write(name, content)] for name, content in train])
    monkeypatch.setattr(dataset, "test_list", [[name, write(name, content)] for name, content in test])
    monkeypatch.setattr(dataset, "meta", {**dataset.meta, "md5": write(dataset.meta["filename"], meta)})
    return root
