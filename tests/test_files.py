"""Files are written completely or not at all."""

import os
import time
from pathlib import Path

import pytest

from classifier.files import ABANDONED, atomic_write, remove_unfinished


def make_abandoned(folder: Path, name: str, age: float = 0) -> Path:
    """Create a folder with a file in it, last changed `age` seconds ago, and return it."""
    abandoned = folder / name
    abandoned.mkdir()
    (abandoned / "a.txt").write_text("half")
    os.utime(abandoned, (time.time() - age,) * 2)
    return abandoned


def test_file_is_replaced_when_the_context_ends_and_nothing_else_remains(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as unfinished:
        unfinished.write_text("new")
        assert (path.read_text(), unfinished.name) == ("old", "a.txt")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with atomic_write(path) as unfinished:
            unfinished.write_text("half of the n")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_next_write_removes_what_was_abandoned_a_day_ago_and_keeps_what_may_be_in_progress(tmp_path):
    old = make_abandoned(tmp_path, ".unfinished-a1b2c3d4", ABANDONED + 1)
    new = make_abandoned(tmp_path, ".unfinished-b1b2c3d4", ABANDONED - 60)
    with atomic_write(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("new")
    assert (old.exists(), new.exists()) == (False, True)


def test_only_folders_with_a_name_of_ours_are_removed_and_links_are_not_followed(tmp_path):
    ours = make_abandoned(tmp_path, ".unfinished-a1b2c3d4")
    others = [make_abandoned(tmp_path, name) for name in (".unfinished-thesis", ".unfinished-", "unfinished-a1b2c3d4")]
    target = make_abandoned(tmp_path, "target")
    link = tmp_path / ".unfinished-e1b2c3d4"
    link.symlink_to(target, target_is_directory=True)
    remove_unfinished(tmp_path)
    assert not ours.exists()
    assert all((folder / "a.txt").is_file() for folder in (*others, target, link))


def test_folder_that_does_not_exist_has_nothing_to_remove(tmp_path):
    remove_unfinished(tmp_path / "missing")
