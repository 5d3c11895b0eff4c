"""The file format of the cache: what was written is read, and anything else is not accepted."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.data.own_images.cache_entries import Contents, Details, read_entry
from classifier.data.own_images.new_entry import NewEntry

KEY = 32 * "a"
SHAPE = (5, 3, 4, 4)  # five files, of which four are readable


def make_contents(num_kept: int = 4, with_images: bool = True) -> Contents:
    """Return the contents of `SHAPE`, of whose files the last `num_kept` are readable."""
    images = torch.arange(num_kept * 48).view(num_kept, 3, 4, 4).to(torch.uint8)
    kept = torch.arange(5 - num_kept, 5)
    return Contents(kept, kept**40 + 7, [], 4095.0, 3, 250, images if with_images else None)


def write_entry(path: Path, key: str, contents: Contents) -> None:
    """Write an entry."""
    with NewEntry(path, key, None if contents.images is None else SHAPE[1:], lambda _: None) as entry:
        if contents.images is not None:
            entry.store(slice(0, len(contents.images)), contents.images)
        entry.finish(contents)


def are_equal(first: Contents, second: Contents) -> bool:
    """Return whether all fields are equal."""
    tensors = [(first.kept, second.kept), (first.hashes, second.hashes)]
    if first.images is not None and second.images is not None:
        tensors.append((first.images, second.images))
    return (
        all(torch.equal(one, two) and one.dtype == two.dtype for one, two in tensors)
        and (first.images is None) == (second.images is None)
        and first.problems == second.problems
        and (first.max_value, first.darkest, first.brightest) == (second.max_value, second.darkest, second.brightest)
    )


@pytest.fixture
def entry(tmp_path):
    """Return the path of an entry with images."""
    path = tmp_path / f"images-{KEY}.bin"
    write_entry(path, KEY, make_contents())
    return path


@pytest.mark.parametrize("with_images", [True, False], ids=["images", "no images"])
@pytest.mark.parametrize("num_kept", [5, 4, 0])
def test_an_entry_is_read_as_it_was_written(tmp_path, num_kept, with_images):
    contents = make_contents(num_kept, with_images)
    write_entry(tmp_path / "entry", KEY, contents)
    read = read_entry(tmp_path / "entry", KEY, SHAPE, with_images)
    assert are_equal(read, contents)


def test_images_are_read_only_on_request_and_an_entry_without_them_is_then_not_accepted(entry, tmp_path):
    assert are_equal(read_entry(entry, KEY, SHAPE, with_images=False), make_contents(with_images=False))
    write_entry(tmp_path / "entry", KEY, make_contents(with_images=False))
    assert read_entry(tmp_path / "entry", KEY, SHAPE, with_images=True) is None


def test_equal_contents_are_equal_files_whenever_they_are_written(entry, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 10**9)
    write_entry(tmp_path / "later", KEY, make_contents())
    assert (tmp_path / "later").read_bytes() == entry.read_bytes()


@pytest.mark.parametrize(
    ("key", "shape"),
    [(32 * "b", SHAPE), (KEY, (3, 3, 4, 4)), (KEY, (4, 3, 4, 4)), (KEY, (5, 1, 4, 4)), (KEY, (5, 3, 2, 8))],
    ids=["another key", "fewer files", "an index too high", "another mode", "another size"],
)
def test_an_entry_of_other_files_is_not_accepted(entry, key, shape):
    assert read_entry(entry, key, shape, with_images=True) is None


def change_member(entry: Path, name: str, content: bytes) -> None:
    """Replace the content of a member of an entry, so that its CRC is right."""
    with zipfile.ZipFile(entry) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    images = entry.read_bytes()[: 4 * 48]
    entry.write_bytes(images)
    with entry.open("rb+") as file:
        file.seek(len(images))
        with zipfile.ZipFile(file, "w") as archive:
            for member, old in members.items():
                archive.writestr(member, content if member == f"{KEY}/{name}" else old)


def change_values(entry: Path, **values: object) -> None:
    """Change some of the values of an entry, or add others."""
    with zipfile.ZipFile(entry) as archive:
        known = json.loads(archive.read(f"{KEY}/values.json"))
    change_member(entry, "values.json", json.dumps({**known, **values}).encode())


def flip_bit(entry: Path, position: int) -> None:
    """Change one bit of a file."""
    content = bytearray(entry.read_bytes())
    content[position] ^= 1
    entry.write_bytes(content)


def save(array: np.ndarray, path: Path = Path("array.npy")) -> bytes:
    """Return the file of an array."""
    np.save(path, array, allow_pickle=True)
    return path.read_bytes()


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "in the entry"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: entry.unlink(),
        lambda entry: entry.write_bytes(entry.read_bytes()[:-5]),
        lambda entry: entry.write_bytes(b""),
        lambda entry: flip_bit(entry, entry.read_bytes().index(bytes(range(48))) + 20),
        lambda entry: entry.write_bytes(entry.read_bytes() + bytes(10**5)),
        lambda entry: entry.write_bytes(entry.read_bytes()[48:]),
        lambda entry: change_member(entry, "kept.npy", save(np.array([Path()] * 4, dtype=object))),
        lambda entry: change_member(entry, "kept.npy", save(np.asfortranarray([[1, 2], [3, 4]]))),
        lambda entry: change_member(entry, "kept.npy", save(np.array([0, 1, 2, 3, 4]))),
        lambda entry: change_member(entry, "kept.npy", save(np.array([1, 2, 3, 4])) + b"x"),
        lambda entry: change_member(entry, "kept.npy", save(np.array([1, 2, 2, 4]))),
        lambda entry: change_member(entry, "kept.npy", save(np.array([-1, 2, 3, 4]))),
        lambda entry: change_member(entry, "kept.npy", save(np.array([1, 2, 3, 5]))),
        lambda entry: change_member(entry, "kept.npy", save(np.array([1.0, 2.0, 3.0, 4.0]))),
        lambda entry: change_member(entry, "hashes.npy", save(np.array([1, 2, 3]))),
        lambda entry: change_values(entry, max_value=float("nan")),
        lambda entry: change_values(entry, max_value=0),
        lambda entry: change_values(entry, brightest=256),
        lambda entry: change_values(entry, darkest=False),
        lambda entry: change_values(entry, images={"shape": [3, 4, 4], "crc": 1}),
        lambda entry: change_values(entry, images=None),
        lambda entry: change_values(entry, other=1),
        lambda entry: change_member(entry, "values.json", b'{"max_value": 1, "darkest": 0, "brightest": 255}'),
        lambda entry: change_member(entry, "values.json", b"[]"),
        lambda entry: entry.rename("moved") and entry.symlink_to(Path("moved").absolute()),
        lambda entry: entry.unlink() or os.mkfifo(entry),
        lambda entry: entry.unlink() or entry.mkdir(),
    ],
    ids=[
        *("missing", "truncated", "empty", "bit flip", "padded", "an image less", "pickle", "Fortran order"),
        *("more images", "long member", "repeated index", "negative index", "high index", "float index"),
        *("fewer hashes", "NaN range", "zero range", "high level", "bool level", "wrong CRC", "no CRC"),
        *("unknown value", "missing value", "no object"),
        *("link", "pipe", "folder"),
    ],
)
def test_an_entry_that_was_changed_is_not_accepted(entry, damage, in_memory):
    assert read_entry(entry, KEY, SHAPE, with_images=True, in_memory=in_memory) is not None
    damage(entry)
    assert read_entry(entry, KEY, SHAPE, with_images=True, in_memory=in_memory) is None


def test_a_header_that_announces_a_huge_array_allocates_no_memory(entry, monkeypatch):
    header = {"descr": "<i8", "fortran_order": False, "shape": (10**6,)}
    with Path("header").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    change_member(entry, "kept.npy", Path("header").read_bytes())
    monkeypatch.setattr(np, "empty", lambda *_, **__: pytest.fail("memory is allocated"))
    assert read_entry(entry, KEY, SHAPE, with_images=True) is None


def write_details(path: Path, **changes) -> Contents:
    """Write an entry with details, some of which are replaced, and return its contents."""
    details = Details(
        sizes=torch.arange(1, 9, dtype=torch.int32).view(4, 2),
        modes=torch.tensor([0, 1, 0, 1], dtype=torch.uint8),
        thumbnails=torch.arange(1024).view(4, 16, 16).to(torch.uint8),
        mode_names=["RGB", "I;16"],
    )
    contents = make_contents()
    contents.details = details._replace(**changes)
    write_entry(path, KEY, contents)
    return contents


@pytest.mark.parametrize("with_images", [True, False])
def test_details_are_read_as_they_were_written(tmp_path, with_images):
    expected = write_details(tmp_path / "entry").details
    read = read_entry(tmp_path / "entry", KEY, SHAPE, with_images).details
    assert read.mode_names == expected.mode_names
    assert all(
        torch.equal(one, two) and one.dtype == two.dtype for one, two in zip(read[:3], expected[:3], strict=True)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"sizes": torch.zeros(4, 2, dtype=torch.int32)},
        {"sizes": torch.ones(3, 2, dtype=torch.int32)},
        {"sizes": torch.ones(4, 2, dtype=torch.int64)},
        {"modes": torch.full((4,), 2, dtype=torch.uint8)},
        {"thumbnails": torch.zeros(4, 8, 8, dtype=torch.uint8)},
        {"mode_names": [1, 2]},
        {"mode_names": {}},
    ],
    ids=["no size", "fewer sizes", "type of sizes", "unknown mode", "size of thumbnails", "names", "no list of names"],
)
def test_an_entry_with_impossible_details_is_not_accepted(tmp_path, changes):
    write_details(tmp_path / "entry", **changes)
    assert read_entry(tmp_path / "entry", KEY, SHAPE, with_images=False) is None
