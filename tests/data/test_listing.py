"""The search for image files and class folders."""

import os

import pytest

from classifier.data.listing import list_image_files, list_subfolders


def test_image_files_of_a_folder_are_sorted_and_exclude_hidden_and_other_files(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "b/a/3.webp", "a.gif", "notes.txt", ".hidden.png", "b/.thumbs/1.png", "x.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [os.path.relpath(path, tmp_path) for path in list_image_files([tmp_path / "notes.txt", tmp_path])]
    assert found == ["notes.txt", "a.gif", "b/10.JPG", "b/2.png", "b/a/3.webp"]


def test_a_missing_path_and_a_folder_without_images_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such file or folder"):
        list_image_files(["nowhere"])
    with pytest.raises(ValueError, match=f"{tmp_path} contains no image files"):
        list_image_files([tmp_path])


def test_subfolders_are_sorted_and_exclude_hidden_folders_and_files(tmp_path):
    for name in ("b", "A", ".cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    assert list_subfolders(tmp_path) == ("A", "b")
    assert list_subfolders(tmp_path / "missing") == ()


def test_files_of_formats_that_are_not_read_are_not_image_files(tmp_path):
    for name in ("a.eps", "b.h5", "c.wmf"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"contains no image files \(AVIF, .*PNG"):
        list_image_files([tmp_path])


def test_links_are_listed_and_a_cycle_of_links_ends(tmp_path):
    (tmp_path / "b.png").mkdir()
    (tmp_path / "b.png/a.png").symlink_to("missing")
    (tmp_path / "b.png/loop").symlink_to(tmp_path)
    (tmp_path / "c.png").symlink_to("c.png")
    assert list_image_files([tmp_path]) == [str(tmp_path / "c.png"), str(tmp_path / "b.png/a.png")]
    assert list_subfolders(tmp_path) == ("b.png",)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.png").touch()
    scandir = os.scandir

    def refuse(path="."):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os, "listdir", refuse)
    for list_folder in (lambda path: list_image_files([path.parent]), list_subfolders):
        with pytest.raises(ValueError, match="locked cannot be listed: Permission denied"):
            list_folder(tmp_path / "locked")
