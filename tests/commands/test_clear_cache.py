"""The command that deletes the cache of decoded images."""

from pathlib import Path

import pytest
from filelock import FileLock

from classifier.data.own_images.cache import DiskCache, find_cache_folder
from classifier.data.own_images.new_entry import LOCK
from classifier.files import PREFIX


@pytest.mark.parametrize("folder", [None, "elsewhere"], ids=["default", "given"])
def test_clearing_deletes_the_entries_only_and_prints_their_number_and_size(run, folder):
    cache = DiskCache(folder and Path(folder))
    cache.folder.mkdir(parents=True)
    for key in "01":
        cache.get_path(32 * key).write_bytes(bytes(600_000))
    others = [cache.folder / name for name in ("notes.txt", "images-0.npz", "photo.png")]
    for other in others:
        other.touch()
    options = ["--cache_dir", folder] if folder else []
    assert run("clear_cache", *options) == f"deleted 2 files, 1.2 MB, from {cache.folder}\n"
    assert sorted(cache.folder.iterdir()) == sorted(others)
    assert run("clear_cache", *options) == f"deleted 0 files, 0.0 MB, from {cache.folder}\n"


def test_clearing_deletes_and_counts_what_a_killed_process_left_unfinished(run):
    folder = DiskCache().folder / f"{PREFIX}01234567"
    folder.mkdir(parents=True)
    (folder / "images.bin").write_bytes(bytes(300_000))
    (folder / LOCK).touch()
    with FileLock(folder / LOCK):
        assert "deleted 0 files" in run("clear_cache")
    (folder / LOCK).touch()
    assert run("clear_cache") == f"deleted 1 file, 0.3 MB, from {folder.parent}\n"
    assert not folder.exists()


def test_clearing_a_cache_that_does_not_exist_deletes_nothing_and_creates_no_folder(run):
    assert "deleted 0 files" in run("clear_cache")
    assert not find_cache_folder().exists()


def test_a_cache_that_is_not_a_folder_is_refused_in_one_line(fail, tmp_path):
    (tmp_path / "file").touch()
    status, line = fail("clear_cache", "--cache_dir", tmp_path / "file")
    assert (status, line.endswith("file cannot be cleared: Not a directory")) == (1, True)


def test_entries_that_cannot_be_deleted_are_reported_in_one_line(fail, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    cache = DiskCache()
    cache.folder.mkdir(parents=True)
    cache.get_path(32 * "0").touch()
    monkeypatch.setattr(Path, "unlink", refuse)
    status, line = fail("clear_cache")
    assert status == 1
    assert line.endswith(f"{cache.folder} cannot be cleared: Permission denied")
