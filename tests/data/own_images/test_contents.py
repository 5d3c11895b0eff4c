"""One pass over image files: what is readable, content hashes, intensity range and pixels."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifier.data.content_hashes import hash_images
from classifier.data.image_files.decoding import Decoded, Decoding, decode
from classifier.data.image_files.intensities import choose_max_value
from classifier.data.own_images.cache import DiskCache
from classifier.data.own_images.contents import Contents, load_contents
from classifier.data.own_images.new_entry import NewEntry
from classifier.data.sources import ImagesInFiles
from classifier.errors import UserError

SHAPE = (1, 4, 4)


@pytest.fixture
def cache(tmp_path):
    """Return an empty cache."""
    return DiskCache(tmp_path / "cache")


@pytest.fixture
def decoded(monkeypatch):
    """Return the list of the names of the files that were decoded, and decode ".npy" files as deep images."""
    names = []

    def record_and_decode(path: str, decoding: Decoding) -> Decoded:
        names.append(Path(path).name)
        if not path.endswith(".npy"):
            return decode(path, decoding)
        pixels = np.load(path)
        max_value = decoding.max_value or 65535
        image = torch.from_numpy((pixels * (255 / max_value)).clip(0, 255).round().astype(np.uint8))
        return Decoded(image.expand(decoding.image_shape).clone(), float(pixels.max()), pixels.dtype.kind == "f")

    monkeypatch.setattr("classifier.data.sources.decode", record_and_decode)
    return names


def write_file(path: Path, level: float, dtype: type = np.uint8) -> str:
    """Write an image of one level: a PNG file of 8 bits, or a ".npy" file of another type, and return its path."""
    if dtype is np.uint8:
        Image.new("L", (4, 4), int(level)).save(path.with_suffix(".png"))
        return str(path.with_suffix(".png"))
    np.save(path.with_suffix(".npy"), np.full((1, 4, 4), level, dtype))
    return str(path.with_suffix(".npy"))


def write_files(folder: Path, *levels: float, dtype: type = np.uint8) -> list[str]:
    """Write one image per level, and return their paths."""
    folder.mkdir(exist_ok=True)
    return [write_file(folder / f"{np.dtype(dtype)}-{i}", level, dtype) for i, level in enumerate(levels)]


def load(paths: list[str], cache: DiskCache, in_memory: bool = True, **options) -> Contents:
    """Load files whose first three decide about the intensity range."""
    return load_contents(ImagesInFiles(paths, Decoding(SHAPE, **options)), in_memory, cache, 3)


def get_levels(contents: Contents) -> list[int]:
    """Return the level of every image."""
    assert (contents.images == contents.images[:, :, :1, :1]).all()
    return contents.images[:, 0, 0, 0].tolist()


def test_readable_files_are_kept_in_order_with_their_hashes_and_the_others_are_named(tmp_path, cache):
    paths = write_files(tmp_path, 30, 10, 200, 10, 77)
    Path(paths[1]).write_text("no image")
    Path(paths[4]).unlink()
    contents = load(paths, cache)
    assert contents.kept.tolist() == [0, 2, 3]
    assert get_levels(contents) == [30, 200, 10]
    assert torch.equal(contents.hashes, hash_images(contents.images))
    assert (contents.darkest, contents.brightest, contents.max_value) == (10, 200, None)
    assert len(contents.problems) == 2
    assert "uint8-1.png is not an image" in contents.problems[0]
    assert "uint8-4.png cannot be read as an image: No such file" in contents.problems[1]


@pytest.mark.parametrize("paths", [[], ["missing.png"]], ids=["no files", "no readable files"])
def test_without_a_readable_file_the_contents_are_empty(cache, paths):
    for _ in range(2):
        contents = load(paths, cache)
        assert contents.images.shape == (0, *SHAPE)
        assert (len(contents.kept), len(contents.hashes), len(contents.problems)) == (0, 0, len(paths))
        assert (contents.darkest, contents.brightest, contents.max_value) == (255, 0, None)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_worker_processes_return_the_same_contents(tmp_path, cache, monkeypatch):
    paths = write_files(tmp_path, *range(8))
    Path(paths[2]).write_text("no image")
    expected = load(paths, DiskCache(max_bytes=0))
    monkeypatch.setattr("classifier.data.sources.MIN_FILES_FOR_WORKERS", 1)
    monkeypatch.setattr("classifier.data.own_images.scan.DECODED_TOGETHER", 3)
    contents = load(paths, cache)
    assert get_levels(contents) == get_levels(expected) == [0, 1, 3, 4, 5, 6, 7]
    assert torch.equal(contents.hashes, expected.hashes)
    assert contents.problems == expected.problems


def test_unreadable_files_take_no_second_copy_of_the_images(tmp_path, cache, monkeypatch):
    paths = write_files(tmp_path, *range(6))
    Path(paths[0]).write_text("no image")
    sizes = []
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda size, dtype: sizes.append(size) or empty(size, dtype))
    contents = load(paths, cache)
    assert [size for size in sizes if size[1:] == SHAPE] == [(6, *SHAPE)]
    assert contents.images.untyped_storage().nbytes() == 6 * 16


def test_images_that_stay_in_files_have_the_same_hashes_and_levels(tmp_path):
    paths = write_files(tmp_path, 30, 10, 200)
    in_memory, in_files = (load(paths, DiskCache(max_bytes=0), kept) for kept in (True, False))
    assert in_files.images is None
    assert torch.equal(in_memory.hashes, in_files.hashes)
    assert (in_files.darkest, in_files.brightest) == (10, 200)


def test_unchanged_files_are_decoded_only_once(tmp_path, cache, decoded):
    paths = write_files(tmp_path, 30, 10, 200)
    first = load(paths, cache)
    assert len(decoded) == 3
    second = load(paths, cache)
    assert len(decoded) == 3
    assert get_levels(first) == get_levels(second)
    assert torch.equal(first.hashes, second.hashes)
    assert torch.equal(load(paths, cache, in_memory=False).images.read([0, 1, 2]), first.images)
    assert len(decoded) == 3


def test_images_that_exceed_both_limits_are_checked_once_and_decoded_again_when_a_limit_is_raised(
    tmp_path, cache, decoded
):
    paths, enough = write_files(tmp_path, 30, 10, 200), cache.max_bytes
    for _ in range(2):
        cache.max_bytes = 10_850  # a little less than an entry with images
        with pytest.warns(UserWarning, match=r"not cached on disk: 0\.0 MB exceed the limit of 0\.0 MB$"):
            assert load(paths, cache, in_memory=False).images is None
        assert len(decoded) == 3
    cache.max_bytes = enough
    for in_memory in (False, True, False):
        assert load(paths, cache, in_memory).images is not None
        assert len(decoded) == 6
    assert len(list(cache.folder.iterdir())) == 1


@pytest.mark.usefixtures("decoded")
def test_images_in_the_cache_are_those_in_memory_also_if_files_are_left_out_or_decoded_twice(
    tmp_path, cache, monkeypatch
):
    monkeypatch.setattr("classifier.data.own_images.scan.DECODED_TOGETHER", 3)
    deep, light = write_files(tmp_path, 4095, 819, 2000, 1000, dtype=np.uint16), write_files(tmp_path, 30, 40, 50)
    Path(light[1]).write_text("no image")
    paths = [deep[1], light[0], deep[2], light[1], deep[0], light[2], deep[3]]
    other = DiskCache(tmp_path / "other")
    in_memory = load(paths, other)
    assert get_levels(in_memory) == [51, 30, 125, 255, 50, 62]
    for _ in range(2):
        in_cache = load(paths, cache, in_memory=False)
        assert torch.equal(in_cache.images.read([*range(6)]), in_memory.images)
        assert torch.equal(in_cache.hashes, in_memory.hashes)
    (entry,), (expected,) = cache.folder.iterdir(), other.folder.iterdir()
    assert entry.read_bytes() == expected.read_bytes()


def test_a_disk_that_becomes_full_is_reported_once_and_leaves_nothing(tmp_path, cache, monkeypatch):
    paths = write_files(tmp_path, 30, 10, 200, 20)
    monkeypatch.setattr("classifier.data.own_images.scan.DECODED_TOGETHER", 1)

    def fill(_, rows: slice, __: torch.Tensor) -> None:
        if rows.start == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("classifier.data.own_images.new_entry.write_rows", fill)
    with pytest.warns(UserWarning, match=r"cache cannot be written to: No space left on device$") as caught:
        contents = load(paths, cache, in_memory=False)
    assert len(caught) == 1
    assert contents.images is None
    assert torch.equal(contents.hashes, load(paths, DiskCache(max_bytes=0)).hashes)
    assert not list(cache.folder.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        lambda path: Image.new("L", (9, 9), 1).save(path),
        lambda path: os.utime(path, (0, 0)),
        lambda path: os.utime(path, ns=(1, Path(path).stat().st_mtime_ns)),
        lambda path: Path(path).unlink(),
    ],
    ids=["size", "modification time", "status", "deleted"],
)
def test_changed_files_are_decoded_again(tmp_path, cache, decoded, change):
    paths = write_files(tmp_path, 30, 10, 200)
    load(paths, cache)
    change(paths[1])
    load(paths, cache)
    assert len(decoded) == 6


def test_a_file_replaced_by_one_of_the_same_size_and_modification_time_is_decoded_again(tmp_path, cache):
    paths = write_files(tmp_path, 30, 10, 200)
    for path in paths:
        Image.open(path).save(f"{path}.bmp")
    paths = [f"{path}.bmp" for path in paths]
    before = Path(paths[1]).stat()
    load(paths, cache)
    shutil.copyfile(paths[0], paths[1])
    os.utime(paths[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Path(paths[1]).stat().st_size == before.st_size
    assert get_levels(load(paths, cache)) == [30, 30, 200]


def test_folders_that_agree_in_names_sizes_and_times_are_not_confused(tmp_path, cache, monkeypatch):
    for name, level in (("first", 30), ("second", 99)):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4), level).save(tmp_path / name / "image.bmp")
        os.utime(tmp_path / name / "image.bmp", (5, 5))
    for name, level in (("first", 30), ("second", 99)) * 2:
        monkeypatch.chdir(tmp_path / name)
        assert get_levels(load(["image.bmp"], cache)) == [level]
    assert len(list(cache.folder.iterdir())) == 2


def test_every_setting_of_the_decoding_has_an_entry_of_its_own(tmp_path, cache, decoded):
    files = write_files(tmp_path, 30, 10, 200)
    for shape, max_value, num_for_range in ((SHAPE, 9.0, 3), (SHAPE, None, 3), ((3, 4, 4), None, 3), (SHAPE, None, 2)):
        load_contents(ImagesInFiles(files, Decoding(shape, max_value)), True, cache, num_for_range)
    assert len(decoded) == 12
    assert len(list(cache.folder.iterdir())) == 4


def test_entry_with_the_intensity_range_that_was_chosen_serves_a_run_that_is_given_this_range(tmp_path, cache, decoded):
    deep, other = write_files(tmp_path / "deep", 1000, 500, 80, dtype=np.uint16), write_files(tmp_path / "8", 3, 4, 5)
    first = load(deep, cache)
    load(other, cache)
    decoded.clear()
    for in_memory in (True, False):
        again = load(deep, cache, in_memory, max_value=first.max_value)
        assert torch.equal(again.hashes, first.hashes)
        assert (again.max_value, load(other, cache, in_memory, max_value=9.0).max_value) == (1023, None)
    assert decoded == []
    assert load(deep, cache, max_value=4095.0).max_value == 4095
    assert len(decoded) == 3


def test_entry_that_another_process_removes_before_it_is_opened_is_written_once_more(tmp_path, cache, monkeypatch):
    paths, removals = write_files(tmp_path, 30, 10, 200), [None]

    def open_images(entry: NewEntry, count: int, report: bool):
        if removals:
            removals.pop()
            entry.path.unlink()
        return opened(entry, count, report)

    opened = NewEntry.open_images
    monkeypatch.setattr(NewEntry, "open_images", open_images)
    assert load(paths, cache, in_memory=False).images.read([0, 1, 2])[:, 0, 0, 0].tolist() == [30, 10, 200]
    cache.clear()
    removals += [None, None]
    with pytest.warns(UserWarning, match=r"not cached on disk: .* cannot be used: No such file or directory$"):
        assert load(paths, cache, in_memory=False).images is None


def test_another_version_of_pillow_decodes_all_files_again(tmp_path, cache, decoded, monkeypatch):
    paths = write_files(tmp_path, 30, 10)
    load(paths, cache)
    monkeypatch.setattr("PIL.__version__", "0.1")
    load(paths, cache)
    assert len(decoded) == 4


def test_of_unchanged_files_only_the_unreadable_ones_are_decoded_again(tmp_path, cache, decoded):
    paths = write_files(tmp_path, 30, 20, 10)
    Path(paths[1]).write_text("no image")
    first = load(paths, cache)
    assert (first.kept.tolist(), len(first.problems), len(decoded)) == ([0, 2], 1, 3)
    again = load(paths, cache)
    assert (again.kept.tolist(), again.problems, len(decoded)) == ([0, 2], first.problems, 4)


def test_a_file_that_becomes_readable_without_a_change_is_read(tmp_path, cache, monkeypatch):
    paths = write_files(tmp_path, 30, 10)
    Path(paths[0]).write_text("format of a decoder that is installed later")
    assert load(paths, cache).kept.tolist() == [1]
    image = torch.full(SHAPE, 50, dtype=torch.uint8)
    monkeypatch.setattr("classifier.data.sources.decode", lambda *_: Decoded(image))
    contents = load(paths, cache)
    assert (contents.kept.tolist(), contents.problems, get_levels(contents)) == ([0, 1], [], [50, 50])


def test_the_intensity_range_is_chosen_once_by_the_first_files_and_only_deep_files_are_decoded_again(
    tmp_path, cache, decoded
):
    deep = write_files(tmp_path, 4095, 819, 2000, 4095, dtype=np.uint16)
    paths = [*deep[1:3], *write_files(tmp_path, 30), deep[0]]
    assert choose_max_value(2000, False) == 4095
    contents = load(paths, cache)
    assert contents.max_value == 4095
    assert get_levels(contents) == [51, 125, 30, 255]
    assert torch.equal(contents.hashes, hash_images(contents.images))
    assert (contents.darkest, contents.brightest) == (30, 255)
    assert decoded == [Path(path).name for path in [*paths, *deep[1:3], deep[0]]]
    again = load(paths, cache)
    assert (again.max_value, get_levels(again)) == (4095, get_levels(contents))
    assert load(paths, DiskCache(max_bytes=0), in_memory=False).hashes.tolist() == contents.hashes.tolist()


@pytest.mark.usefixtures("decoded")
def test_files_after_the_first_decide_about_the_range_only_if_none_of_the_first_has_more_than_8_bits(tmp_path, cache):
    light, (low, high) = write_files(tmp_path, 1, 2, 3), write_files(tmp_path, 4000, 60_000, dtype=np.uint16)
    assert choose_max_value(4000, False) < choose_max_value(60_000, False) == 65535
    assert load([low, *light, high], cache).max_value == choose_max_value(4000, False)
    assert load([*light, low, high], cache).max_value == 65535


def test_a_given_range_is_used_and_nothing_is_decoded_twice(tmp_path, cache, decoded):
    paths = [*write_files(tmp_path, 100, 200, dtype=np.uint16), *write_files(tmp_path, 50, dtype=np.float32)]
    contents = load(paths, cache, max_value=500.0)
    assert (contents.max_value, get_levels(contents), len(decoded)) == (500, [51, 102, 26], 3)
    assert load(write_files(tmp_path, 5), cache, max_value=500.0).max_value is None


@pytest.mark.usefixtures("decoded")
def test_integer_and_floating_point_files_together_are_refused_with_one_of_each_named(tmp_path, cache):
    paths = [*write_files(tmp_path, 100, dtype=np.uint16), *write_files(tmp_path, 0.5, dtype=np.float32)]
    message = r"float32-0\.npy has floating-point .*uint16-0\.npy has integers .*max_value$"
    with pytest.raises(UserError, match=message):
        load(paths, cache)
    assert not cache.folder.exists()
    with pytest.raises(UserError, match=message):
        load(paths, cache, in_memory=False)
    assert not list(cache.folder.iterdir())


@pytest.mark.usefixtures("decoded")
def test_a_file_that_changes_between_the_two_passes_is_reported(tmp_path, cache, monkeypatch):
    paths = write_files(tmp_path, 100, 200, dtype=np.uint16)

    def choose_and_delete(*_) -> float:
        Path(paths[1]).unlink()
        Path(paths[1]).with_suffix(".png").write_text("no image")
        paths[1] = str(Path(paths[1]).with_suffix(".png"))
        return 4095

    monkeypatch.setattr("classifier.data.own_images.contents.choose_max_value", choose_and_delete)
    with pytest.raises(UserError, match=r"have changed while they were read: .*is not an image"):
        load(paths, cache)


def test_sizes_and_modes_of_the_files_and_thumbnails_are_known_and_cached(tmp_path):
    rotated = Image.Exif()
    rotated[274] = 6  # EXIF orientation: a quarter turn
    grey = Image.fromarray(np.full((200, 100), 90, np.uint8))
    grey.save(tmp_path / "a.jpg", exif=rotated)
    grey.convert("P").save(tmp_path / "b.png")
    Image.fromarray(np.full((8, 8), 65535, np.uint16)).save(tmp_path / "c.png")
    (tmp_path / "d.png").touch()
    files = ImagesInFiles([str(path) for path in sorted(tmp_path.iterdir())], Decoding((1, 16, 16)))
    cache = DiskCache(tmp_path / "cache")
    for in_memory in (False, False, True, True):
        details = load_contents(files, in_memory, cache, num_for_range=4).details
        assert details.sizes.tolist() == [[200, 100], [100, 200], [8, 8]]
        assert [details.mode_names[code] for code in details.modes] == ["L", "P", "I;16"]
        assert details.thumbnails.flatten(1).tolist() == [[90] * 256, [90] * 256, [255] * 256]
