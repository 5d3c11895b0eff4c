"""An entry of the cache while it is written: complete, removed, or reported."""

import contextlib
import multiprocessing
import os
from pathlib import Path

import pytest
import torch

from classifier.data.own_images.cache_entries import Contents, read_entry
from classifier.data.own_images.image_rows import ImageRows
from classifier.data.own_images.new_entry import NewEntry, remove_abandoned
from classifier.files import PREFIX

KEY, SHAPE = 32 * "a", (3, 1, 2, 2)
IMAGES = torch.arange(12, dtype=torch.uint8).view(SHAPE)


@pytest.fixture
def entry(tmp_path):
    """Return a new entry in a folder that does not exist yet."""
    return NewEntry(tmp_path / "cache/entry", KEY, SHAPE[1:], lambda _: None)


def make_contents() -> Contents:
    """Return the contents of three files, without their images."""
    return Contents(torch.arange(3), torch.arange(3), [], None, 0, 11)


def write(entry: NewEntry) -> None:
    """Write an entry, whose images are stored in two steps."""
    with entry:
        entry.store(slice(0, 2), IMAGES[:2])
        entry.store(slice(2, 3), IMAGES[2:])
        entry.finish(make_contents())


def test_images_are_stored_in_any_order_and_can_be_replaced(entry):
    with entry:
        entry.store(slice(0, 2), IMAGES[1:])
        entry.store(slice(2, 3), IMAGES[2:])
        entry.store(torch.tensor([1, 0]), IMAGES[[1, 0]])
        entry.finish(make_contents())
    assert torch.equal(entry.open_images(3).read([0, 1, 2]), IMAGES)
    assert torch.equal(read_entry(entry.path, KEY, SHAPE, with_images=True).images, IMAGES)
    assert isinstance(read_entry(entry.path, KEY, SHAPE, with_images=True, in_memory=False).images, ImageRows)


def test_nobody_sees_an_entry_before_it_is_complete(entry):
    seen = []
    entry.make_room = lambda path: seen.append(read_entry(path, KEY, SHAPE, with_images=True))
    with entry:
        entry.store(slice(0, 3), IMAGES)
        assert not entry.path.exists()
        entry.finish(make_contents())
        assert torch.equal(seen[0].images, IMAGES)
    assert list(entry.path.parent.iterdir()) == [entry.path]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_an_entry_that_is_not_finished_is_removed(entry, error):
    with pytest.raises(error) if error else contextlib.nullcontext(), entry:
        entry.store(slice(0, 3), IMAGES)
        if error:
            raise error
    assert not list(entry.path.parent.iterdir())
    assert entry.open_images(3) is None


@pytest.mark.parametrize("step", ["enter", "store", "finish", "rename"])
def test_an_error_of_the_disk_is_reported_once_and_leaves_nothing(entry, monkeypatch, step):
    def fill(*_, **__) -> None:
        raise OSError(28, "No space left on device")

    name = {"store": "write_rows", "finish": "append_archive", "enter": "atomic_write"}.get(step)
    monkeypatch.setattr(
        *(Path, "replace", fill) if name is None else (f"classifier.data.own_images.new_entry.{name}", fill)
    )
    with pytest.warns(UserWarning, match=r"cache cannot be written to: No space left on device$") as caught:
        write(entry)
    assert entry.open_images(3) is None
    assert len(caught) == 1
    assert not list(entry.path.parent.iterdir())


def test_unfinished_entry_is_removed_when_its_process_has_ended_and_not_before(entry):
    def leave() -> None:
        write_unfinished = NewEntry(entry.path, KEY, SHAPE[1:], lambda _: None)
        write_unfinished.__enter__()
        write_unfinished.store(slice(0, 3), IMAGES)
        write_unfinished.file.flush()
        assert remove_abandoned(entry.path.parent) == []
        os._exit(0)

    for _ in range(2):
        process = multiprocessing.get_context("fork").Process(target=leave)
        process.start()
        process.join()
        assert (process.exitcode, len(list(entry.path.parent.iterdir()))) == (0, 1)
    with entry:  # the next run removes it as well
        assert len(list(entry.path.parent.iterdir())) == 1
    leave_empty = entry.path.parent / f"{PREFIX}abcdefgh"
    leave_empty.mkdir()
    assert remove_abandoned(entry.path.parent) == []
    os.utime(leave_empty, (0, 0))
    assert remove_abandoned(entry.path.parent) == [0]


def test_images_of_an_entry_that_another_process_has_replaced_or_deleted_are_not_used(entry):
    write(entry)
    content = entry.path.read_bytes()
    entry.path.rename(entry.path.with_name("old"))
    entry.path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"entry cannot be used: another process has replaced it$"):
        assert entry.open_images(3) is None
    entry.path.unlink()
    with pytest.warns(UserWarning, match=r"entry cannot be used: No such file or directory$"):
        assert entry.open_images(3) is None
