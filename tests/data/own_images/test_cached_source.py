"""Images that are read from the cache; `test_sources.py` compares them with those of the other sources."""

from pathlib import Path

import pytest
import torch

from classifier.data.own_images.cached_source import ImagesInCache
from classifier.data.own_images.image_rows import ImageRows


@pytest.fixture
def source(tmp_path):
    """Return the last three of five images of 12 bytes."""
    (tmp_path / "entry").write_bytes(bytes(range(60)))
    stored = ImageRows(Path(tmp_path, "entry"), 5, (3, 2, 2), max_bytes=100)
    return ImagesInCache(stored, [*"abcde"]).subset(range(2, 5))


def test_images_stay_in_the_file_for_a_cpu(source):
    assert source.move_to(torch.device("cpu")) == torch.device("cpu")
    Path(source.stored.path).write_bytes(bytes(60))
    with pytest.raises(ValueError, match="entry has changed while it was in use"):
        source.gather(torch.tensor([0]))


# The device "meta" has no memory, but tensors on it have a shape.
def test_images_are_copied_to_another_device_if_the_entry_is_within_the_limit(source, monkeypatch):
    meta = torch.device("meta")
    monkeypatch.setattr("classifier.data.own_images.cached_source.MAX_ON_DEVICE", 59)
    assert source.move_to(meta) == torch.device("cpu")
    assert source.gather(torch.tensor([2])).flatten().tolist() == [*range(48, 60)]
    monkeypatch.setattr("classifier.data.own_images.cached_source.MAX_ON_DEVICE", 60)
    monkeypatch.setattr("classifier.data.own_images.cached_source.COPIED_TOGETHER", 2)
    assert source.move_to(meta) == meta
    assert source.gather(torch.tensor([2], device=meta)).is_meta
    assert source.get_range(1, 3).shape == (2, 3, 2, 2)
    assert source.get_range(1, 3).is_meta
    assert source.move_to(torch.device("cpu")) == torch.device("cpu")
    assert source.gather(torch.tensor([2])).flatten().tolist() == [*range(48, 60)]
