"""Labelled images of a split: indexing, batches and names."""

import pytest
import torch

from classifier import Digits, ImageFolder
from classifier.data.dataset import ImageDataset
from classifier.data.image_files.decoding import Decoding, ImageError, read_image
from classifier.data.sources import ImagesInFiles, ImagesInMemory


@pytest.mark.parametrize("indices", [[5, 0, 359], [5, 6, 8], [5, 7, 6, 8], [357, 358, 359], [4]])
def test_a_batch_equals_its_images_taken_one_by_one(indices):
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
def test_only_consecutive_evaluation_images_share_the_memory_of_the_data_set(split, indices, shared):
    data = Digits()
    data.setup("fit")
    dataset = data.datasets[split]
    images, labels = dataset.__getitems__(indices)
    assert (images.data_ptr() == dataset.source.images[7].data_ptr()) is shared
    assert (labels.data_ptr() == dataset.labels[7].data_ptr()) is shared


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "files"])
def test_numbers_slices_lists_and_masks_select_images_in_memory_and_in_files(split_root, split, in_memory):
    paths = [str(path) for path in sorted((split_root / "train/ant").glob("*.[pjb]*"))]
    expected = torch.stack([read_image(path, (3, 8, 8)) for path in paths])
    source = ImagesInMemory(expected.clone()) if in_memory else ImagesInFiles(paths, Decoding((3, 8, 8)))
    dataset = ImageDataset(source, torch.arange(12) * 10, split)
    for index in (2, -1):
        image, label = dataset[index]
        assert torch.equal(image, expected[index])
        assert label.item() == range(12)[index] * 10
    mask = torch.arange(12) % 5 == 0
    for index in (slice(3, 6), slice(None), slice(None, None, 4), slice(0, 0), [7, 0, 0], torch.tensor([11, 2]), mask):
        images, labels = dataset[index]
        assert torch.equal(images, expected[index])
        assert torch.equal(labels, (torch.arange(12) * 10)[index])
    with pytest.raises(IndexError):
        dataset[12]


def test_selecting_a_file_that_cannot_be_decoded_names_it(broken):
    files = ImagesInFiles([str(broken / "intact.png")] * 3 + [str(broken / "text.png")], Decoding((1, 8, 8)))
    dataset = ImageDataset(files, torch.arange(4), "test")
    intact = read_image(broken / "intact.png", (1, 8, 8))
    assert torch.equal(dataset[-2][0], intact)
    assert torch.equal(dataset[:2][0], torch.stack([intact, intact]))
    with pytest.raises(ImageError, match=r"text\.png is not an image"):
        dataset[2:]


@pytest.mark.parametrize("val_split", [0, 40])
def test_images_without_files_are_named_by_their_number_within_the_split(val_split):
    data = Digits(val_split=val_split)
    data.setup("fit")
    for dataset in data.datasets.values():
        assert [dataset.name(i) for i in range(len(dataset))] == [f"#{i}" for i in range(len(dataset))]


@pytest.mark.parametrize("val_split", [0, 6])
@pytest.mark.parametrize("cache", [1, 0], ids=["memory", "files"])
@pytest.mark.parametrize("root", ["split_root", "plain_root"])
def test_images_of_a_folder_are_named_by_the_path_of_their_file(request, root, cache, val_split):
    root = request.getfixturevalue(root)
    data = ImageFolder(str(root), image_size=8, cache=cache, val_split=val_split)
    data.setup("fit")
    names = []
    for dataset in data.datasets.values():
        names += [dataset.name(i) for i in range(len(dataset))]
        for i, (image, label) in enumerate(zip(*dataset[:], strict=True)):
            assert torch.equal(image, read_image(dataset.name(i), data.image_shape))
            assert f"/{data.class_names[label]}/" in dataset.name(i)
    assert len(data.datasets) == (3 if val_split else 2)
    assert sorted(names) == sorted(str(path) for path in root.rglob("*.[pjb]*"))


def test_images_marked_as_flipped_are_mirrored_in_every_batch():
    images = torch.arange(3 * 4, dtype=torch.uint8).view(3, 1, 2, 2)
    dataset = ImageDataset(ImagesInMemory(images), torch.arange(3), "train", torch.tensor([True, False, True]))
    expected = torch.stack([images[0].flip(-1), images[1], images[2].flip(-1)])
    assert torch.equal(dataset[:][0], expected)
    assert torch.equal(dataset.__getitems__([2, 1])[0], expected[[2, 1]])
