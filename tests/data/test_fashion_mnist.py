"""FashionMNIST: its files, and the report of damaged ones."""

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
