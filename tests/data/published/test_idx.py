"""IDX files: their values, and the report of damaged ones."""

import math
import os
import zlib

import pytest
import torch
from helpers.data_files import make_images, write_fashion_mnist

from classifier import FashionMNIST


def test_images_and_labels_are_those_of_the_files(fashion_root):
    data = FashionMNIST(root=str(fashion_root))
    data.setup("fit")
    for split, count, seed in (("train", 300, 0), ("test", 130, 1)):
        images, labels = make_images(count, 1, 28, seed)
        assert torch.equal(data.datasets[split][:][0], torch.from_numpy(images))
        assert data.datasets[split].labels.tolist() == labels.tolist()


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (IMAGES, lambda _: b"", f"{IMAGES} is not an IDX file: it begins with b''. Delete {IMAGES}, "),
        (IMAGES, lambda _: b"<!DOCTYPE html><html>", f"{IMAGES} is not an IDX file: it begins with b'<!DOCTYPE html"),
        (LABELS, lambda content: b"\0\0\x08\x02" + content[4:], f"{LABELS} is not an IDX file: .*Delete {LABELS}, "),
        (
            IMAGES,
            lambda content: content[:-5],
            rf"{IMAGES} has 235,195 values where its header announces 300 x 28 x 28\. ",
        ),
        (LABELS, lambda content: content + b"\1", f"{LABELS} has 301 values where its header announces 300. "),
        (LABELS, lambda content: content[:-1] + b"\x0a", f"{LABELS} has the label 10, beyond 0 to 9. "),
        (LABELS, lambda content: content[:7] + b"\x2b" + content[8:-1], "has 300 images and 299 labels. Delete them"),
    ],
    ids=["empty", "html", "magic", "truncated", "too long", "label", "counts"],
)
def test_a_damaged_file_is_reported_with_its_damage_and_which_file_to_delete(tmp_path, name, damage, message):
    write_fashion_mnist(tmp_path)
    file = tmp_path / "FashionMNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=f"FashionMNIST: the files in {file.parent} are damaged: .*{message}"):
        FashionMNIST(root=str(tmp_path)).setup("fit")


def test_a_file_with_the_size_of_the_published_one_and_other_contents_is_reported(tmp_path, monkeypatch):
    write_fashion_mnist(tmp_path)
    file = tmp_path / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte"
    published = {**FashionMNIST.published, file.name: ((130, 28, 28), zlib.crc32(file.read_bytes()))}
    monkeypatch.setattr(FashionMNIST, "published", published)
    FashionMNIST(root=str(tmp_path)).setup("test")
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    with pytest.warns(UserWarning, match=f"{file.name} is not the published file of FashionMNIST"):
        FashionMNIST(root=str(tmp_path)).setup("test")


@pytest.mark.parametrize(
    ("header", "size", "message"),
    [
        (b"\0\0\x08\x03" + b"\xff" * 12, 100, "has 100 values where its header announces 4294967295 x 4294967295"),
        (b"\0\0\x08\x03" + b"\0\x01\0\0" * 3, 2**48, "bytes is above the limit of 1,000,000,000"),
        (b"\0\0\x08\x03" + b"\0" * 4 + b"\xff" * 8, 0, "has no values"),
    ],
    ids=["announced", "sparse", "empty"],
)
def test_sizes_are_checked_before_memory_is_allocated(tmp_path, monkeypatch, header, size, message):
    file = write_fashion_mnist(tmp_path) / "FashionMNIST" / "raw" / "t10k-images-idx3-ubyte"
    file.write_bytes(header)
    os.truncate(file, min(len(header) + size, 10**13))
    empty = torch.empty

    def allocate(sizes, **options):
        assert math.prod(sizes) < 10**6
        return empty(sizes, **options)

    monkeypatch.setattr(torch, "empty", allocate)
    with pytest.raises(ValueError, match=message):
        FashionMNIST(root=str(tmp_path)).setup("test")


def test_only_the_files_that_are_checked_are_read(tmp_path):
    write_fashion_mnist(tmp_path)
    processed = tmp_path / "FashionMNIST" / "processed"
    processed.mkdir()
    for name in ("training.pt", "test.pt"):  # torchvision would read these instead
        torch.save((torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3, dtype=torch.long)), processed / name)
    data = FashionMNIST(root=str(tmp_path))
    data.setup("test")
    assert len(data.datasets["test"]) == 130


def test_a_pipe_in_place_of_a_file_is_refused_without_waiting(tmp_path):
    file = write_fashion_mnist(tmp_path) / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(ValueError, match=f"{file.name} it is not a regular file"):
        FashionMNIST(root=str(tmp_path)).setup("test")
