"""The cache folder: what is written, used, limited in size, deleted and left alone."""

import os
import threading
from pathlib import Path

import pytest
import torch

from classifier.data.image_files.decoding import Decoding
from classifier.data.own_images.cache import DiskCache, describe_old_cache, find_cache_folder
from classifier.data.own_images.cache_entries import Contents
from classifier.data.own_images.contents import load_contents
from classifier.data.sources import ImagesInFiles

SHAPE = (2, 3, 64, 64)


def make_contents(level: int, with_images: bool = True) -> Contents:
    """Return the contents of two files; entries with images have 25 kB."""
    images = torch.full(SHAPE, level, dtype=torch.uint8) if with_images else None
    return Contents(torch.arange(2), torch.tensor([level, 7]), [], None, level, level, images)


def make_key(number: int) -> str:
    """Return the key of a number."""
    return f"{number:032x}"


def write(cache: DiskCache, *numbers: int) -> None:
    """Write one entry per number, and set the time of its last use to that number."""
    for number in numbers:
        cache.write(make_key(number), make_contents(number))
        os.utime(cache.get_path(make_key(number)), (number, number))


def list_numbers(cache: DiskCache) -> list[int]:
    """Return the numbers of all entries."""
    return sorted(int(path.stem.removeprefix("images-"), 16) for path in cache.folder.iterdir())


@pytest.fixture
def cache(tmp_path):
    """Return a cache in a folder that does not exist yet."""
    return DiskCache(tmp_path / "new/cache", max_bytes=10**6)


def test_the_default_is_in_the_cache_folder_of_the_user_and_readable_by_nobody_else(tmp_path):
    cache = DiskCache()
    assert cache.folder == find_cache_folder() == Path(f"{tmp_path}_cache/classifier/images")
    write(cache, 1)
    assert cache.folder.stat().st_mode & 0o777 == 0o700
    assert DiskCache().read(make_key(1), SHAPE, with_images=True).darkest == 1


def test_an_entry_is_read_as_it_was_written_last(cache):
    assert cache.read(make_key(1), SHAPE, with_images=True) is None
    cache.write(make_key(1), make_contents(1, with_images=False))
    assert cache.read(make_key(1), SHAPE, with_images=True) is None
    cache.write(make_key(1), make_contents(2))
    assert cache.read(make_key(1), SHAPE, with_images=False).images is None
    assert torch.equal(cache.read(make_key(1), SHAPE, with_images=True).images, make_contents(2).images)
    assert list_numbers(cache) == [1]


def test_the_least_recently_used_entries_are_deleted_until_the_others_are_within_the_limit(cache):
    write(cache, 1, 2, 3, 4)
    assert cache.read(make_key(1), SHAPE, with_images=False) is not None  # is now the most recently used one
    cache.max_bytes = 3 * cache.get_path(make_key(1)).stat().st_size
    write(cache, 5)
    assert list_numbers(cache) == [1, 4, 5]
    cache.max_bytes -= 1
    write(cache, 0)  # although it seems to have been used before all others
    assert list_numbers(cache) == [0, 1]


def test_an_entry_above_the_limit_is_not_written_deletes_nothing_and_is_reported(cache):
    write(cache, 1)
    cache.max_bytes = 24_000  # a little less than one entry
    with pytest.warns(UserWarning, match=r"not cached on disk: 0\.0 MB exceed the limit of 0\.0 MB$"):
        cache.write(make_key(2), make_contents(2))
    assert list_numbers(cache) == [1]


def test_a_limit_of_zero_turns_the_cache_off(cache):
    write(cache, 1)
    cache.max_bytes = 0
    assert cache.read(make_key(1), SHAPE, with_images=True) is None
    cache.write(make_key(2), make_contents(2))
    assert list_numbers(cache) == [1]


def test_other_files_links_and_folders_are_neither_counted_nor_deleted(cache, tmp_path):
    cache.folder.mkdir(parents=True)
    names = ["photo.png", f"images-{make_key(1)}.bin.bak", f"images-{make_key(1)[1:]}.bin", "images-.bin"]
    for name in names:
        (cache.folder / name).write_bytes(bytes(10**6))
    (tmp_path / "precious.npz").write_bytes(bytes(10**6))
    cache.get_path(make_key(2)).symlink_to(tmp_path / "precious.npz")
    cache.get_path(make_key(3)).mkdir()
    cache.max_bytes = 60_000
    write(cache, 4, 5)
    assert cache.read(make_key(4), SHAPE, with_images=True) is not None
    assert cache.read(make_key(2), SHAPE, with_images=True) is None
    count, size = cache.clear()
    assert count == 2
    assert 49_000 < size < 60_000
    assert sorted(path.name for path in cache.folder.iterdir()) == sorted(
        [*names, *(cache.get_path(make_key(number)).name for number in (2, 3))]
    )
    assert (tmp_path / "precious.npz").stat().st_size == 10**6


def test_a_folder_that_is_a_link_is_used_because_the_user_has_made_it(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    write(DiskCache(tmp_path / "link"), 1)
    assert list_numbers(DiskCache(tmp_path / "disk")) == [1]


@pytest.mark.parametrize("is_default", [True, False])
def test_a_folder_that_cannot_be_written_to_is_reported_in_one_line_and_the_images_are_returned(
    tmp_path, is_default, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "text.png").write_text("no image")
    files = ImagesInFiles([str(tmp_path / "text.png")], Decoding((1, 8, 8)))
    cache = DiskCache(None if is_default else tmp_path / "file")
    with pytest.warns(
        UserWarning, match=r"^decoded images are not cached on disk: .*file\S* cannot be .*\S$"
    ) as caught:
        contents = load_contents(files, True, cache, 1)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert contents.images.shape == (0, 1, 8, 8)


def test_without_a_home_folder_nothing_is_created(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: "~/.cache/classifier")
    with pytest.warns(UserWarning, match="there is no home folder"):
        DiskCache().write(make_key(1), make_contents(1))
    assert DiskCache().read(make_key(1), SHAPE, with_images=True) is None
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_no_part_of_an_entry(cache, monkeypatch):
    def fill(*_):
        raise OSError(28, "No space left on device")

    write(cache, 1)
    monkeypatch.setattr("classifier.data.own_images.cache_entries.np.lib.format.write_array_header_1_0", fill)
    with pytest.warns(UserWarning, match=r"No space left on device$"):
        cache.write(make_key(2), make_contents(2))
    assert list_numbers(cache) == [1]


def test_threads_that_write_read_and_clear_at_the_same_time_see_complete_entries_only(cache):
    cache.max_bytes = 100_000  # four entries
    wrong: list[object] = []

    def use(first: int) -> None:
        try:
            for number in [*range(first, first + 8)] * 2:
                cache.write(make_key(number), make_contents(number))
                contents = cache.read(make_key(number), SHAPE, with_images=True)
                if contents is not None and not torch.equal(contents.images, make_contents(number).images):
                    wrong.append(number)
                if number % 5 == 0:
                    cache.clear()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=use, args=(first,)) for first in (1, 3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= 100_000


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], None),
        (["mine.npz"], None),
        ([f"3x8-{32 * '0'}.npz", f"1x64-{32 * 'a'}.checked"], r"{} is no longer used and may be deleted"),
        (["mine.npz", f"3x8-{32 * '0'}.npy"], r"{}: files of an earlier version, such as 3x8-{}.npy, may be deleted"),
    ],
    ids=["empty", "other files", "our files", "both"],
)
def test_a_cache_of_an_earlier_version_is_described_but_not_read(tmp_path, names, message):
    assert describe_old_cache(tmp_path) is None
    folder = tmp_path / ".cache"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    found = describe_old_cache(tmp_path)
    assert found is None if message is None else found.startswith(message.format(folder, 32 * "0"))


def test_a_link_named_like_the_cache_of_an_earlier_version_is_not_described(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Path(tmp_path, "elsewhere", f"3x8-{32 * '0'}.npz").touch()
    (tmp_path / ".cache").symlink_to(tmp_path / "elsewhere")
    assert describe_old_cache(tmp_path) is None
