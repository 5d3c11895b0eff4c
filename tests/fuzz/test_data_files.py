"""A short deterministic run of the fuzzer of data files."""

import pytest
from fuzz.data_files import fuzz

from classifier import CIFAR10


@pytest.fixture(autouse=True)
def _restore_md5_sums(monkeypatch):
    """Let monkeypatch restore the md5 sums that the fuzzer replaces."""
    for name in ("train_list", "test_list", "meta"):
        monkeypatch.setattr(CIFAR10.torchvision_class, name, getattr(CIFAR10.torchvision_class, name))


def test_changed_images_caches_and_datasets_are_read_correctly_or_refused_in_one_line():
    tried, faults = fuzz(count=204, seed=0)
    assert not faults, "\n".join(faults)
    assert len(tried) == 44
