"""Downloads of the datasets that torchvision reads."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.data_files import write_fashion_mnist

from classifier import FashionMNIST
from classifier.cli.signals import Terminated

DOWNLOAD = "torchvision.datasets.mnist.download_and_extract_archive"


def raise_no_network(*_args, **_options) -> None:
    """Fail as a download without a network does."""
    raise OSError("no network")


def test_missing_files_are_named_with_their_folder_and_an_alternative(tmp_path):
    write_fashion_mnist(tmp_path)
    missing = tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
    missing.unlink()
    with pytest.raises(ValueError, match=f"(?s){missing.parent}: t10k-labels-idx1-ubyte .*--config digits"):
        FashionMNIST(root=str(tmp_path), download=False).prepare_data()


def test_a_failed_download_is_reported_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(DOWNLOAD, raise_no_network)
    with pytest.raises(ValueError, match="downloading failed: no network"):
        FashionMNIST(root=str(tmp_path)).prepare_data()


@pytest.mark.parametrize("root", ["photos", "data/sets", "."])
@pytest.mark.parametrize(
    "error",
    [OSError("connection lost"), RuntimeError("md5"), OSError(28, "disk full"), KeyboardInterrupt(), Terminated()],
    ids=repr,
)
def test_a_download_that_does_not_complete_leaves_the_root_as_it_was(tmp_path, monkeypatch, error, root):
    def stop_half_way(_url, download_root, filename, **_options):
        if "t10k" in filename:
            raise error
        Path(download_root, filename.removesuffix(".gz")).write_bytes(b"complete")

    monkeypatch.setattr(DOWNLOAD, stop_half_way)
    Path("photos/empty").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((ValueError, KeyboardInterrupt)):
        FashionMNIST(root=root).prepare_data()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_download_removes_what_a_killed_one_left_and_nothing_else(tmp_path, monkeypatch):
    for name in (".download-kept", ".download-abcdefgh", ".download-12345678"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock").touch()
    (tmp_path / ".download-________").mkdir()  # of a process that has not locked it yet
    monkeypatch.setattr(DOWNLOAD, raise_no_network)
    with FileLock(tmp_path / ".download-12345678" / ".lock"), pytest.raises(ValueError, match="no network"):
        FashionMNIST(root=str(tmp_path)).prepare_data()
    assert {path.name for path in tmp_path.iterdir()} == {".download-kept", ".download-12345678", ".download-________"}


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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels.csv", r"labels.csv is a table, .* --data ImageTable --data.file \S*labels.csv$"),
        ("data.zip", r"data.zip is a file, not a folder: set --data.root to a folder"),
    ],
)
def test_a_root_that_is_a_file_is_reported(tmp_path, name, message):
    (tmp_path / name).write_text("not a folder")
    with pytest.raises(ValueError, match=message):
        FashionMNIST(root=str(tmp_path / name)).prepare_data()


def test_a_missing_root_is_called_missing_unless_it_can_be_created(tmp_path):
    message = f"there is no folder nowhere in {tmp_path}, and download is switched off"
    with pytest.raises(ValueError, match=message):
        FashionMNIST(root="nowhere", download=False).prepare_data()


@pytest.mark.parametrize("splits", [[""], ["Train", "Test"]])
def test_class_folders_are_answered_with_the_dataset_that_reads_them(tmp_path, monkeypatch, splits):
    for split in splits:
        for name in ("shoes", "shirts"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.JPG").touch()
    monkeypatch.setattr(DOWNLOAD, lambda *_, **__: pytest.fail("a download was tried"))
    with pytest.raises(ValueError, match=r"contains folders of images: add --data ImageFolder"):
        FashionMNIST(root=str(tmp_path)).prepare_data()


@pytest.mark.parametrize("names", [["shoes/1.jpg"], ["shoes/1.jpg", ".cache/1.jpg"], ["pets/a/1.jpg", "pets/b/1.jpg"]])
def test_other_folders_in_the_root_do_not_prevent_a_download(tmp_path, monkeypatch, names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(DOWNLOAD, raise_no_network)
    with pytest.raises(ValueError, match="downloading failed: no network"):
        FashionMNIST(root=str(tmp_path)).prepare_data()
