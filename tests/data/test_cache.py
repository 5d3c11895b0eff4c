"""The cache of decoded images on disk."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifier import ImageFolder
from classifier.data.decoding import decode

NUM_FILES = 51  # of `split_root`


def load_images(root: Path, **options) -> dict[str, torch.Tensor]:
    """Return the images of every split of a new ImageFolder."""
    data = ImageFolder(str(root), image_size=8, **options)
    data.setup("fit")
    return {split: dataset[:][0] for split, dataset in data.datasets.items()}


def write_changed_byte(file: Path, position: int) -> None:
    """Change one bit of a byte of a file."""
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


@pytest.fixture
def decoded(monkeypatch):
    """Return the list of the files that were decoded; it grows with every one."""
    paths = []

    def record_and_decode(path, decoding):
        paths.append(path)
        return decode(path, decoding)

    monkeypatch.setattr("classifier.data.sources.decode", record_and_decode)
    return paths


def test_unchanged_files_are_decoded_only_once(split_root, decoded):
    first = load_images(split_root)
    assert len(decoded) == NUM_FILES
    decoded.clear()
    second = load_images(split_root)
    assert not decoded
    assert all(torch.equal(first[split], second[split]) for split in first)


def test_files_are_decoded_again_after_a_change_of_content_time_or_image_shape(split_root, decoded):
    load_images(split_root)
    decoded.clear()
    Image.new("RGB", (20, 20), "white").save(split_root / "train/cat/00.png")
    changed = load_images(split_root)
    assert len(decoded) == NUM_FILES
    assert (changed["train"][24] == 255).all()
    os.utime(split_root / "train/cat/01.jpg", (0, 0))
    load_images(split_root)
    assert len(decoded) == 2 * NUM_FILES
    assert len(list((split_root / ".cache").iterdir())) == 1

    load_images(split_root, channels=1)
    assert len(decoded) == 3 * NUM_FILES
    load_images(split_root)
    load_images(split_root, channels=1)
    assert len(decoded) == 3 * NUM_FILES


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-5]),
        lambda file: file.write_bytes(b""),
        lambda file: np.savez(file, **{file.stem: np.array([Path()], dtype=object)}),
        lambda file: np.savez(file, **{file.stem: np.zeros((NUM_FILES, 3, 8, 8))}),
        lambda file: np.savez(file, images=np.zeros((NUM_FILES, 3, 8, 8), np.uint8)),
        lambda file: np.savez(file, **{file.stem: np.zeros((NUM_FILES + 1, 3, 8, 8), np.uint8)}),
        lambda file: write_changed_byte(file, file.stat().st_size // 2),
        lambda file: file.rename(file.with_name("moved")) and file.symlink_to(file.with_name("moved")),
        lambda file: file.unlink() or os.mkfifo(file),
    ],
    ids=["truncated", "empty", "pickle", "wrong type", "wrong key", "longer", "bit flip", "link", "pipe"],
)
def test_a_damaged_cache_is_replaced_and_code_in_it_is_not_run(split_root, damage):
    first = load_images(split_root)
    (file,) = (split_root / ".cache").glob("*.npz")
    intact = file.read_bytes()
    damage(file)
    again = load_images(split_root)
    assert all(torch.equal(first[split], again[split]) for split in first)
    assert file.read_bytes() == intact


@pytest.mark.parametrize("options", [{}, {"cache": 0}], ids=["in memory", "in files"])
def test_a_cache_folder_that_is_a_link_or_a_file_is_reported_and_neither_read_nor_changed(
    split_root, options, tmp_path
):
    first = load_images(split_root, **options)
    elsewhere = tmp_path / "elsewhere"
    (split_root / ".cache").rename(elsewhere)
    (written,) = elsewhere.iterdir()
    outdated = elsewhere / f"3x8-{32 * '0'}.npz"
    outdated.touch()
    written.write_bytes(b"damaged")
    (split_root / ".cache").symlink_to(elsewhere)
    for _ in range(2):
        with pytest.warns(UserWarning, match="is a link or not a folder, so decoded images are not cached"):
            again = load_images(split_root, **options)
        assert all(torch.equal(first[split], again[split]) for split in first)
        assert sorted(elsewhere.iterdir()) == sorted([written, outdated])
        assert written.read_bytes() == b"damaged"
        (split_root / ".cache").unlink()
        (split_root / ".cache").touch()


def test_only_files_that_the_cache_wrote_for_the_same_size_are_deleted(split_root):
    folder, key = split_root / ".cache", 32 * "0"
    folder.mkdir()
    outdated = [f"3x8-{key}.npz", f"3x8-{key}.npy", f"3x8-{key}.checked"]
    kept = ["3x8-notes.npy", f"3x8-{key}0.npz", f"1x8-{key}.npz", f"3x8-{key.replace('0', 'g')}.npz", f"3x8-{key}.bak"]
    for name in outdated + kept:
        (folder / name).write_text(name)
    (folder / f"3x8-{key.replace('0', '1')}.npz").symlink_to(split_root / "train/cat/00.png")
    (folder / f"3x8-{key.replace('0', '2')}.npz").mkdir()
    load_images(split_root)
    left = {path.name for path in folder.iterdir()}
    assert left.isdisjoint(outdated)
    assert left > set(kept)
    assert len(left) == len(kept) + 3  # the link, the folder, and the new file
    assert (split_root / "train/cat/00.png").exists()


def test_files_that_stay_on_disk_are_checked_only_until_they_change(split_root, decoded):
    ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
    assert len(decoded) == NUM_FILES
    ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
    assert len(decoded) == NUM_FILES
    os.utime(split_root / "train/cat/01.jpg", (0, 0))
    ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
    assert len(decoded) == 2 * NUM_FILES


def test_a_record_of_a_check_that_the_cache_did_not_write_is_not_believed(split_root, decoded):
    ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
    (record,) = (split_root / ".cache").iterdir()
    written = record.read_bytes()
    for content in (b"", b"3x8-0", written + b"x"):
        record.write_bytes(content)
        decoded.clear()
        ImageFolder(str(split_root), image_size=8, cache=0).prepare_data()
        assert len(decoded) == NUM_FILES
        assert record.read_bytes() == written


def test_a_header_that_announces_a_huge_array_allocates_no_memory(split_root, monkeypatch):
    first = load_images(split_root)
    (file,) = (split_root / ".cache").iterdir()
    with zipfile.ZipFile(file, "w") as archive, archive.open(f"{file.stem}.npy", "w") as member:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6)}
        np.lib.format.write_array_header_1_0(member, header)
    empty = torch.empty

    def allocate(*shape, **options):
        assert np.prod(shape[0] if isinstance(shape[0], tuple) else shape) < 10**6
        return empty(*shape, **options)

    monkeypatch.setattr(torch, "empty", allocate)
    again = load_images(split_root)
    assert all(torch.equal(first[split], again[split]) for split in first)
