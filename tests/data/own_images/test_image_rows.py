"""Images at the beginning of a file: what is read, and what happens when the file changes."""

import os
import zlib
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from classifier.data.own_images.image_rows import ImageRows
from classifier.errors import UserError

COUNT, SHAPE = 6, (1, 2, 5)
PIXELS = bytes(range(60))


@pytest.fixture
def path(tmp_path):
    """Write six images of ten bytes and something else, and return the path of the file."""
    path = tmp_path / "entry"
    path.write_bytes(PIXELS + b"end")
    return path


@pytest.fixture
def rows(path):
    """Return the images."""
    return ImageRows(path, COUNT, SHAPE, max_bytes=63)


@pytest.fixture(params=[True, False], ids=["preadv", "seek"])
def reading(request, monkeypatch):
    """Read with and without `os.preadv`, which Windows does not have."""
    if not request.param:
        monkeypatch.delattr(os, "preadv", raising=False)


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize("indices", [[5, 0, 3, 3], [0, 1, 2, 3, 4, 5], [2, 3], [4], [3, 2], []], ids=str)
def test_the_images_of_the_given_rows_are_read(rows, indices):
    expected = torch.arange(60, dtype=torch.uint8).view(6, *SHAPE)[indices]
    images = rows.read(indices)
    assert torch.equal(images, expected)
    assert images.dtype == torch.uint8


@pytest.mark.parametrize("chunk", [60, 7])
def test_the_checksum_is_that_of_the_images_which_are_copied_on_request(rows, monkeypatch, chunk):
    monkeypatch.setattr("classifier.data.own_images.image_rows.CHUNK", chunk)
    images = torch.empty((6, *SHAPE), dtype=torch.uint8)
    assert rows.compute_crc() == rows.compute_crc(images) == zlib.crc32(PIXELS)
    assert images.numpy().tobytes() == PIXELS


def test_reads_that_return_less_than_was_asked_for_are_continued(rows, monkeypatch):
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, offset: preadv(file, [buffers[0][:3]], offset))
    assert rows.read([1, 2]).flatten().tolist() == [*range(10, 30)]


@pytest.mark.usefixtures("reading")
@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 35),
        lambda path: os.truncate(path, 61),
        lambda path: path.open("ab").write(b"x"),
        lambda path: path.open("rb+").write(b"x"),
    ],
    ids=["truncated images", "truncated end", "appended to", "overwritten"],
)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_file_that_changes_while_it_is_open_is_reported_in_one_line(path, rows, change):
    os.utime(path, ns=(1, rows.state[-1]))  # as the cache does whenever the entry is used
    assert rows.read([3]).flatten().tolist() == [*range(30, 40)]
    change(path)
    for read in (lambda: rows.read([3]), lambda: rows.read([2, 3, 4]), rows.compute_crc):
        with pytest.raises(UserError, match=r"^\S+entry has changed while it was in use: run the command again$"):
            read()


def test_an_error_of_the_disk_is_reported_in_one_line(rows, monkeypatch):
    def fail(*_) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(UserError, match=r"^\S+entry cannot be read: Input/output error$"):
        rows.read([3])


def test_a_file_that_is_deleted_or_replaced_stays_readable(path, rows):
    path.unlink()
    path.write_bytes(bytes(63))
    assert rows.read([3]).flatten().tolist() == [*range(30, 40)]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_forked_processes_read_the_same_file_independently(rows):
    class Images(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 100

        def __getitem__(self, index: int) -> torch.Tensor:
            return rows.read([index % 6])

    batches = torch.cat(list(DataLoader(Images(), 10, num_workers=2, multiprocessing_context="fork")))
    assert batches.view(100, 10)[:, 0].tolist() == [index % 6 * 10 for index in range(100)]


def test_spawned_processes_open_the_file_again_if_it_is_still_the_same(path, rows, monkeypatch):
    monkeypatch.chdir("/")
    again = ForkingPickler.loads(ForkingPickler.dumps(rows))
    assert again.file != rows.file
    assert torch.equal(again.read([4, 2]), rows.read([4, 2]))
    copy = ForkingPickler.dumps(rows)
    path.unlink()
    path.write_bytes(PIXELS + b"end")
    with pytest.raises(UserError, match="entry has changed while it was in use"):
        ForkingPickler.loads(copy)
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        ForkingPickler.loads(copy)


def test_the_file_is_closed_with_the_last_reference(path):
    rows = ImageRows(path, COUNT, SHAPE, max_bytes=63)
    file = rows.file
    del rows
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: os.truncate(path, 59), "too small"),
        (lambda path: os.truncate(path, 64), "above the limit of 63"),
        (lambda path: path.rename("moved") and path.symlink_to(Path("moved").absolute()), "not a regular file"),
    ],
    ids=["too small", "too large", "link"],
)
def test_a_file_that_cannot_contain_the_images_is_not_opened(path, change, message):
    change(path)
    with pytest.raises(OSError, match=message):
        ImageRows(path, COUNT, SHAPE, max_bytes=63)
