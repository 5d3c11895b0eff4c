"""The data modules: what they read, hold out, shuffle and deal."""

import shutil
from pathlib import Path

import pytest
import torch
from conftest import make_images, write_fashion_mnist

from classifier import CIFAR10, Digits, FashionMNIST
from classifier.loading import EvaluationSampler, ImageDataset


def test_fashion_mnist_holds_the_images_and_labels_of_its_files(fashion_root):
    data = FashionMNIST(root=str(fashion_root))
    data.setup("fit")
    for split, count, seed in (("train", 300, 0), ("test", 130, 1)):
        images, labels = make_images(count, 1, 28, seed)
        assert torch.equal(data.datasets[split].images, torch.from_numpy(images))
        assert data.datasets[split].labels.tolist() == labels.tolist()


def test_cifar10_holds_the_images_and_labels_of_its_files(cifar_root):
    data = CIFAR10(root=str(cifar_root))
    data.prepare_data()
    data.setup("fit")
    images, labels = make_images(12, 3, 32, 2)  # of data_batch_3
    assert torch.equal(data.datasets["train"].images[24:36], torch.from_numpy(images))
    assert data.datasets["train"].labels[24:36].tolist() == labels.tolist()
    assert data.datasets["train"].images.is_contiguous()
    assert len(data.datasets["test"]) == 30


def test_digits_are_split_with_equal_shares_and_keep_their_16_grey_levels():
    data = Digits()
    data.setup("fit")
    train, test = data.datasets["train"], data.datasets["test"]
    assert (len(train), len(test)) == (1437, 360)
    assert test.labels.bincount().tolist() == [36, 36, 35, 37, 36, 37, 36, 36, 35, 36]
    assert train.images.shape == (1437, 1, 8, 8)
    assert train.images.unique().tolist() == [round(level * 255 / 16) for level in range(17)]


@pytest.mark.parametrize("data", [FashionMNIST(), CIFAR10(), Digits()], ids=lambda data: type(data).__name__)
def test_shape_and_classes_are_known_before_any_file_is_read(data):
    assert len(data.image_shape) == 3
    assert data.num_classes == len(data.class_names) == 10
    assert not data.datasets


def test_validation_images_are_always_the_same_and_none_is_trained_on():
    splits = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        data = Digits(val_split=200)
        data.setup("fit")
        splits.append(data.datasets)
    assert torch.equal(splits[0]["val"].images, splits[1]["val"].images)
    assert (len(splits[0]["train"]), len(splits[0]["val"]), len(splits[0]["test"])) == (1237, 200, 360)
    whole = Digits()
    whole.setup("fit")
    parts = torch.cat([splits[0]["train"].images, splits[0]["val"].images]).flatten(1).tolist()
    assert sorted(parts) == sorted(whole.datasets["train"].images.flatten(1).tolist())


@pytest.mark.parametrize("indices", [[5, 0, 359], [5, 6, 8], [5, 7, 6, 8], [357, 358, 359], [4]])
def test_a_batch_is_what_its_images_are_one_by_one(indices):
    data = Digits()
    data.setup("test")
    dataset = data.datasets["test"]
    images, labels = dataset.__getitems__(indices)
    singles = [dataset[index] for index in indices]
    assert torch.equal(images, torch.stack([image for image, _ in singles]))
    assert torch.equal(labels, torch.stack([label for _, label in singles]))


@pytest.mark.parametrize(
    ("split", "indices", "shared"), [("test", [7, 8, 9], True), ("test", [7, 9, 8], False), ("train", [7, 8, 9], False)]
)
def test_only_a_batch_in_order_that_is_not_for_training_is_no_copy(split, indices, shared):
    data = Digits()
    data.setup("fit")
    dataset = data.datasets[split]
    images, labels = dataset.__getitems__(indices)
    assert (images.data_ptr() == dataset.images[7].data_ptr()) is shared
    assert (labels.data_ptr() == dataset.labels[7].data_ptr()) is shared


def get_order(data: Digits, epoch: int) -> list[int]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader.sampler)


def test_training_order_follows_from_seed_and_epoch_alone(monkeypatch):
    data = Digits()
    data.setup("fit")
    orders = {epoch: get_order(data, epoch) for epoch in (0, 1)}
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == list(range(1437))
    torch.manual_seed(123)
    assert get_order(data, 0) == orders[0]
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    assert get_order(data, 0) != orders[0]


@pytest.mark.parametrize("num_images", [9, 10, 11, 12])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_image_is_scored_exactly_once_in_equally_many_batches(num_images, processes):
    dataset = ImageDataset(torch.zeros(num_images, 1, 2, 2, dtype=torch.uint8), torch.arange(num_images), "test")
    dealt, batches = [], set()
    for rank in range(processes):
        sampler = EvaluationSampler(dataset, processes, rank, shuffle=False)
        loader = torch.utils.data.DataLoader(dataset, 2, sampler=sampler, collate_fn=lambda batch: batch)
        labels = [label for _, batch in loader for label in batch.tolist()]
        dealt += labels
        batches.add(len(loader))
    assert sorted(dealt) == list(range(num_images))
    assert len(batches) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be above 0, not 0"),
        ({"test_batch_size": -1}, "test_batch_size must be above 0, not -1"),
        ({"val_split": -1}, "val_split must be at least 0, not -1"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        Digits(**options)


def test_a_validation_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="val_split must be below the 1437 images, not 1437"):
        Digits(val_split=1437).setup("fit")


def test_missing_files_are_named_with_their_folder_and_a_way_to_go_on(tmp_path):
    write_fashion_mnist(tmp_path)
    missing = tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
    missing.unlink()
    with pytest.raises(ValueError, match=f"(?s){missing.parent}: t10k-labels-idx1-ubyte .*--config digits"):
        FashionMNIST(root=str(tmp_path), download=False).prepare_data()


def test_a_failed_download_is_reported_as_such(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", refuse)
    with pytest.raises(ValueError, match="downloading failed"):
        FashionMNIST(root=str(tmp_path)).prepare_data()


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (IMAGES, lambda _: b"", f"{IMAGES} is no IDX file: it begins with b''. Delete {IMAGES}, "),
        (IMAGES, lambda _: b"<!DOCTYPE html><html>", f"{IMAGES} is no IDX file: it begins with b'<!DOCTYPE html"),
        (LABELS, lambda content: b"\0\0\x08\x02" + content[4:], f"{LABELS} is no IDX file: .*Delete {LABELS}, "),
        (IMAGES, lambda content: content[:-5], f"{IMAGES} has 235,195 values where its header says 300 x 28 x 28. "),
        (LABELS, lambda content: content + b"\1", f"{LABELS} has 301 values where its header says 300. "),
        (LABELS, lambda content: content[:-1] + b"\x0a", f"{LABELS} has the label 10, beyond 0 to 9. "),
        (LABELS, lambda content: content[:7] + b"\x2b" + content[8:-1], "has 300 images and 299 labels. Delete them"),
    ],
    ids=["empty", "html", "magic", "truncated", "too long", "label", "counts"],
)
def test_a_damaged_file_is_named_with_what_is_wrong_and_what_to_delete(tmp_path, name, damage, message):
    write_fashion_mnist(tmp_path)
    file = tmp_path / "FashionMNIST" / "raw" / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=f"FashionMNIST: the files in {file.parent} are damaged: .*{message}"):
        FashionMNIST(root=str(tmp_path)).setup("fit")


def test_a_cifar10_file_with_a_wrong_md5_sum_is_named_and_refused_unread(cifar_root, tmp_path):
    file = cifar_root / "cifar-10-batches-py" / "data_batch_2"
    file.write_bytes(b"cposix\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(ValueError, match=r"data_batch_2 has a wrong md5 sum. Delete data_batch_2, "):
        CIFAR10(root=str(cifar_root)).setup("fit")
    assert not (tmp_path / "owned").exists()


def test_a_download_that_stops_half_way_leaves_nothing_that_the_next_start_takes_for_data(tmp_path, monkeypatch):
    def stop_half_way(_url, download_root, filename, **_options):
        if "t10k" in filename:
            raise OSError("connection lost")
        Path(download_root, filename.removesuffix(".gz")).write_bytes(b"complete")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", stop_half_way)
    with pytest.raises(ValueError, match="downloading failed: connection lost"):
        FashionMNIST(root=str(tmp_path)).prepare_data()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_downloaded_files_lie_where_torchvision_puts_them(tmp_path, monkeypatch):
    source = write_fashion_mnist(tmp_path / "server") / "FashionMNIST" / "raw"

    def download(_url, download_root, filename, **_options):
        shutil.copy(source / filename.removesuffix(".gz"), download_root)

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", download)
    data = FashionMNIST(root=str(tmp_path / "data"))
    data.prepare_data()
    data.setup("test")
    assert len(data.datasets["test"]) == 130
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["FashionMNIST"]


def test_a_root_that_is_a_file_is_said_to_be_one(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(ValueError, match=r"downloading failed: .*Not a directory"):
        FashionMNIST(root=str(tmp_path / "data")).prepare_data()


@pytest.mark.parametrize(
    ("images", "labels", "problem"),
    [
        (torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.zeros(4).long(), "5 images and 4 labels"),
        (torch.zeros(0, 1, 8, 8, dtype=torch.uint8), torch.zeros(0).long(), "no images"),
        (torch.zeros(5, 1, 8, 8), torch.zeros(5).long(), "torch.float32, not"),
        (torch.zeros(5, 3, 8, 8, dtype=torch.uint8), torch.zeros(5).long(), r"images \(3, 8, 8\)"),
        (torch.zeros(5, 1, 8, 8, dtype=torch.uint8), torch.full((5,), 10), "labels beyond 0 to 9"),
    ],
    ids=["counts", "empty", "type", "shape", "labels"],
)
def test_what_is_read_is_checked_against_what_the_class_says(monkeypatch, images, labels, problem):
    monkeypatch.setattr(Digits, "read", lambda _self, **_: (images, labels))
    with pytest.raises(ValueError, match=f"training set of Digits has .*{problem}"):
        Digits().setup("fit")
