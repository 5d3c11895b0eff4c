"""The search for image files and class folders."""

import os

import pytest

from classifier.data.own_images.listing import UnusedFiles, list_direct_files, list_image_files, list_subfolders


def test_image_files_of_a_folder_are_sorted_and_exclude_hidden_and_other_files(tmp_path):
    for name in ("b/2.png", "b/10.JPG", "b/a/3.webp", "a.gif", "notes.txt", ".hidden.png", "b/.thumbs/1.png", "x.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    files, unused = list_image_files([tmp_path / "notes.txt", tmp_path])
    found = [os.path.relpath(path, tmp_path) for path in files]
    assert found == ["notes.txt", "a.gif", "b/10.JPG", "b/2.png", "b/a/3.webp"]
    assert unused.describe(str(tmp_path)) == (
        "not used: 2 (hidden: .hidden.png, b/.thumbs), 1 (no image format: notes.txt), "
        "1 (PDF files are not read; convert them to PNG: x.pdf)"
    )


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


def test_links_to_files_and_folders_are_followed(tmp_path):
    for name in ("cat/1.png", "more/2.png", "more/deep/3.png", "other/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "cat/link").symlink_to(tmp_path / "more")
    (tmp_path / "cat/0.png").symlink_to(tmp_path / "other/4.png")
    files, unused = list_image_files([tmp_path / "cat"])
    found = [os.path.relpath(path, tmp_path / "cat") for path in files]
    assert found == ["0.png", "1.png", "link/2.png", "link/deep/3.png"]
    assert unused.names == {}


def test_a_folder_that_can_be_reached_in_several_ways_is_read_once(tmp_path):
    (tmp_path / "b.png").mkdir()
    (tmp_path / "b.png/a.png").symlink_to("missing")
    (tmp_path / "b.png/loop").symlink_to(tmp_path)
    (tmp_path / "c.png").symlink_to("c.png")
    (tmp_path / "d").symlink_to("b.png")
    files, unused = list_image_files([tmp_path])
    assert files == [str(tmp_path / "c.png"), str(tmp_path / "b.png/a.png")]
    assert unused.describe(str(tmp_path)) == "not used: 2 (folder that is already read: b.png/loop, d)"
    assert list_subfolders(tmp_path) == ("b.png", "d")


def test_every_dangling_link_is_listed_or_named(tmp_path):
    for name in ("a.png", "b", "c"):
        (tmp_path / name).symlink_to("missing")
    files, unused = list_image_files([tmp_path])
    assert files == [str(tmp_path / "a.png")]  # decoding reports it
    assert unused.names == {"dangling link": [str(tmp_path / "b"), str(tmp_path / "c")]}


def test_image_files_without_a_decoder_are_counted_and_named(tmp_path):
    for name in ("a.jpg", "b.cr2", "c.svg", "d.svg", "e", "f.txt"):
        (tmp_path / name).touch()
    files, unused = list_image_files([tmp_path])
    assert files == [str(tmp_path / "a.jpg")]
    assert unused.count_undecodable() == 3
    assert unused.describe(str(tmp_path)) == (
        "not used: 1 (raw camera files are not read; convert them to PNG: b.cr2), "
        "2 (SVG files are not read; convert them to PNG: c.svg, d.svg), "
        "1 (no extension; images need one, such as .jpg: e), 1 (no image format: f.txt)"
    )


def test_unused_files_are_counted_by_reason_with_the_first_names():
    unused = UnusedFiles()
    unused.add("hidden", "pets/.a")
    unused.add("no image format", *(f"pets/{i}\n.txt" for i in range(1200)))
    other = UnusedFiles({"hidden": ["pets/.b"]})
    unused.merge(other)
    assert unused.describe("pets") == (
        "not used: 2 (hidden: .a, .b), 1,200 (no image format: 0?.txt, 1?.txt, 2?.txt, ...)"
    )
    assert UnusedFiles().describe() == ""


def test_direct_files_include_hidden_folders_and_exclude_the_others(tmp_path):
    for name in ("cat", ".cache"):
        (tmp_path / name).mkdir()
    for name in ("labels.csv", ".DS_Store"):
        (tmp_path / name).touch()
    assert list_direct_files(tmp_path) == [str(tmp_path / name) for name in (".DS_Store", ".cache", "labels.csv")]


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
    for list_folder in (lambda path: list_image_files([path.parent]), list_subfolders, list_direct_files):
        with pytest.raises(ValueError, match="locked cannot be listed: Permission denied"):
            list_folder(tmp_path / "locked")
