"""CIFAR100: its files, its classes, and a run."""

import hashlib
import re

import pytest
import torch
import torchvision
from helpers.data_files import make_images, write_cifar100
from helpers.runs import read_results

from classifier import CIFAR100

SUPERCLASSES = """
aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
"""


def pickle_names(**lists: list[str]) -> bytes:
    """Return a pickle of lists of names, as Python 2 wrote it: every string and list is memorised, from 1."""
    count = 0

    def memorise(opcodes: bytes) -> bytes:
        nonlocal count
        count += 1
        return opcodes + b"q" + bytes([count])

    def dump(text: str) -> bytes:
        return memorise(b"U" + bytes([len(text)]) + text.encode())

    content = b"\x80\x02" + memorise(b"}") + b"("
    for name, values in lists.items():
        content += dump(name) + memorise(b"]") + b"(" + b"".join(map(dump, values)) + b"e"
    return content + b"u."


def test_class_names_are_those_of_the_published_file():
    content = pickle_names(fine_label_names=list(CIFAR100.class_names), coarse_label_names=SUPERCLASSES.split())
    assert hashlib.md5(content).hexdigest() == torchvision.datasets.CIFAR100.meta["md5"]  # noqa: S324


def test_labels_are_those_of_the_hundred_classes(tmp_path, monkeypatch):
    data = CIFAR100(root=str(write_cifar100(tmp_path, monkeypatch)), download=False)
    data.prepare_data()
    data.setup("fit")
    for split, count, seed in (("train", 60, 0), ("test", 30, 9)):
        images, labels = make_images(count, 3, 32, seed)
        assert torch.equal(data.datasets[split][:][0], torch.from_numpy(images))
        assert data.datasets[split].labels.tolist() == [11 * label for label in labels]


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_every_file_is_verified(tmp_path, monkeypatch, name):
    root = write_cifar100(tmp_path, monkeypatch)
    data = CIFAR100(root=str(root))
    file = root / "cifar-100-python" / name
    data.check_file(file)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(ValueError, match="has a wrong md5 sum"):
        data.check_file(file)


def test_a_network_is_trained_from_the_command_line(run, tmp_path, monkeypatch):
    write_cifar100(tmp_path / "data", monkeypatch)
    printed = run("fit", "--model", "CNN", "--data", "CIFAR100", "--trainer.max_epochs", "1", "--pictures", "false")
    assert re.search(r"^CNN with [\d,]+ parameters on CIFAR100 \(60 train, 30 test images\)", printed, re.MULTILINE)
    accuracies = read_results()["epochs"][0]["accuracy_by_class/test"]
    assert tuple(accuracies) == CIFAR100.class_names
    assert [name for name, accuracy in accuracies.items() if accuracy is not None] == list(CIFAR100.class_names[::11])
