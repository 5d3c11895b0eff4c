"""Downloads of the datasets that torchvision reads."""

import shutil
from pathlib import Path

import pytest
from helpers.data_files import write_fashion_mnist

from classifier import FashionMNIST

DOWNLOAD = "torchvision.datasets.mnist.download_and_extract_archive"


def test_missing_files_are_named_with_their_folder_and_an_alternative(tmp_path):
    write_fashion_mnist(tmp_path)
    missing = tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
    missing.unlink()
    with pytest.raises(ValueError, match=f"(?s){missing.parent}: t10k-labels-idx1-ubyte .*--config digits"):
        FashionMNIST(root=str(tmp_path), download=False).prepare_data()


def test_a_failed_download_is_reported_with_its_reason(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr(DOWNLOAD, refuse)
    with pytest.raises(ValueError, match="downloading failed: no network"):
        FashionMNIST(root=str(tmp_path)).prepare_data()


def test_an_interrupted_download_leaves_no_file_behind(tmp_path, monkeypatch):
    def stop_half_way(_url, download_root, filename, **_options):
        if "t10k" in filename:
            raise OSError("connection lost")
        Path(download_root, filename.removesuffix(".gz")).write_bytes(b"complete")

    monkeypatch.setattr(DOWNLOAD, stop_half_way)
    with pytest.raises(ValueError, match="downloading failed: connection lost"):
        FashionMNIST(root=str(tmp_path)).prepare_data()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_downloaded_files_are_in_the_folder_that_torchvision_uses(tmp_path, monkeypatch):
    source = write_fashion_mnist(tmp_path / "server") / "FashionMNIST" / "raw"

    def download(_url, download_root, filename, **_options):
        shutil.copy(source / filename.removesuffix(".gz"), download_root)

    monkeypatch.setattr(DOWNLOAD, download)
    data = FashionMNIST(root=str(tmp_path / "data"))
    data.prepare_data()
    data.setup("test")
    assert len(data.datasets["test"]) == 130
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["FashionMNIST"]


def test_a_root_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(ValueError, match=r"downloading failed: .*Not a directory"):
        FashionMNIST(root=str(tmp_path / "data")).prepare_data()
