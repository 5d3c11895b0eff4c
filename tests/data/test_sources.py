"""Images in memory, in files and in the cache, behind one interface."""

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from classifier.data.image_files.decoding import Decoding, ImageError, read_image
from classifier.data.own_images.cached_source import ImagesInCache
from classifier.data.own_images.image_rows import ImageRows
from classifier.data.sources import ImagesInFiles, ImagesInMemory, identity_collate


@pytest.fixture
def sources(split_root):
    """Return the same 12 images in memory, in files and in the cache."""
    paths = [str(path) for path in sorted((split_root / "train/cat").glob("*.[pjb]*"))]
    images = torch.stack([read_image(path, (3, 8, 8)) for path in paths])
    Path("entry").write_bytes(images.numpy().tobytes() + b"what follows the images")
    stored = ImageRows(Path("entry"), len(images), (3, 8, 8), max_bytes=10**6)
    return ImagesInMemory(images, paths), ImagesInFiles(paths, Decoding((3, 8, 8))), ImagesInCache(stored, paths)


def test_all_sources_have_the_same_size_names_and_images(sources):
    memory, files, _ = sources
    indices = torch.tensor([4, 0, 11, 4])
    for source in sources:
        assert len(source) == 12
        assert source.image_shape == (3, 8, 8)
        assert [source.name(i) for i in range(12)] == files.paths
        assert torch.equal(source.gather(indices), memory.images[indices])
        assert torch.equal(source.gather(indices[:0]), memory.images[:0])
        assert torch.equal(source.get_range(3, 7), memory.images[3:7])


@pytest.mark.parametrize(
    "indices",
    [
        torch.tensor([7, 2, 9]),
        torch.arange(4, 9),
        torch.arange(0),
        range(3, 8),
        range(12),
        range(5, 5),
        range(1, 12, 3),
    ],
    ids=str,
)
def test_a_subset_has_the_images_and_names_of_its_indices(sources, indices):
    subsets = [source.subset(indices) for source in sources]
    indices = [int(i) for i in indices]
    expected = sources[0].images[indices]
    for subset in subsets:
        assert len(subset) == len(expected)
        assert torch.equal(subset.get_range(0, len(expected)), expected)
        assert [subset.name(i) for i in range(len(subset))] == [sources[0].name(i) for i in indices]


def test_images_in_memory_without_names_are_numbered_in_each_subset():
    source = ImagesInMemory(torch.zeros(5, 1, 2, 2, dtype=torch.uint8))
    assert source.name(3) == "#3"
    assert source.subset(range(2, 5)).name(0) == "#0"


def test_slices_and_ranges_of_images_in_memory_are_not_copied(sources):
    memory, _, _ = sources
    consecutive, single = memory.subset(torch.arange(2, 5)), memory.subset(torch.tensor([2]))
    assert (len(consecutive), len(single)) == (3, 1)
    for images in (memory.get_range(2, 5), memory.subset(range(2, 5)).images, consecutive.images, single.images):
        assert images.data_ptr() == memory.images[2].data_ptr()
    assert memory.gather(torch.tensor([2])).data_ptr() != memory.images[2].data_ptr()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("min_files", [1000, 1], ids=["in this process", "with workers"])
def test_batches_of_files_contain_the_readable_images_and_report_the_others(broken, monkeypatch, min_files):
    monkeypatch.setattr("classifier.data.sources.MIN_FILES_FOR_WORKERS", min_files)
    files = ImagesInFiles([str(broken / name) for name in ("text.png", "intact.png", "cut.jpg")], Decoding((1, 8, 8)))
    assert (files.count_workers() > 0) == (min_files == 1)
    batches = list(DataLoader(files, 2, collate_fn=identity_collate, num_workers=files.count_workers()))
    intact = read_image(broken / "intact.png", (1, 8, 8))
    assert [batch.indices for batch in batches] == [[1], []]
    assert torch.equal(batches[0].images[0], intact)
    assert batches[1].images.shape == (0, 1, 8, 8)
    assert [len(batch.problems) for batch in batches] == [1, 1]
    assert "text.png is not an image" in batches[0].problems[0]
    assert [(batch.highest, batch.is_float) for batch in batches] == [([None], [False]), ([], [])]


def test_known_hashes_are_returned_without_reading_images_and_subsets_keep_theirs(sources):
    memory, files, cached = sources
    hashes = memory.get_hashes()
    assert torch.equal(files.get_hashes(), hashes)
    assert torch.equal(cached.get_hashes(), hashes)
    assert len(hashes.unique()) == 12
    known = torch.arange(12)
    for source in (
        ImagesInMemory(memory.images, None, known),
        ImagesInFiles(["missing"] * 12, files.decoding, known),
        ImagesInCache(cached.stored, cached.names, known),
    ):
        assert source.get_hashes() is known
        assert source.subset(range(3, 11, 4)).get_hashes().tolist() == [3, 7]
        assert source.subset(torch.tensor([9, 2])).get_hashes().tolist() == [9, 2]


def test_gathering_a_file_that_cannot_be_decoded_names_it(broken):
    files = ImagesInFiles([str(broken / "intact.png")] * 3 + [str(broken / "text.png")], Decoding((1, 8, 8)))
    intact = read_image(broken / "intact.png", (1, 8, 8))
    assert (len(files), *files.image_shape) == (4, 1, 8, 8)
    assert torch.equal(files.gather(torch.tensor([2])), intact[None])
    assert torch.equal(files.get_range(0, 2), torch.stack([intact, intact]))
    assert files.subset(torch.tensor([3, 0])).paths == [files.paths[3], files.paths[0]]
    with pytest.raises(ImageError, match=r"text\.png is not an image"):
        files.get_range(2, 4)
