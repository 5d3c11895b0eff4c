"""Near duplicates: copies of a picture are found, and different pictures are not."""

import numpy as np
import pytest
import torch
from helpers.photographs import make_photographs, recompress
from PIL import Image

from classifier.analysis import duplicates
from classifier.analysis.duplicates import (
    MAX_BITS,
    NUM_BITS,
    count_bits,
    find_candidates,
    find_near_duplicates,
    hash_differences,
    keep_close,
    pack,
)
from classifier.data.image_files.decoding import read_image
from classifier.data.image_files.thumbnails import make_thumbnails


def make_all(images: list[torch.Tensor]) -> np.ndarray:
    """Return the thumbnails of images (C, H, W) of one size."""
    return make_thumbnails(torch.stack(images)).numpy()


def find(thumbnails: np.ndarray) -> list[list[int]]:
    """Return the pairs of near duplicates of a complete search."""
    pairs, is_complete = find_near_duplicates(thumbnails)
    assert is_complete
    return pairs.tolist()


def test_the_hash_tells_whether_a_cell_is_brighter_than_the_one_before_it():
    thumbnails = np.zeros((1, 16, 16), np.uint8)
    thumbnails[0, 4, 6] = 1  # in the cell in row 2 and column 3
    bits = hash_differences(thumbnails)
    assert bits.shape == (1, NUM_BITS)
    horizontal, vertical = bits[0, :56].reshape(8, 7), bits[0, 56:].reshape(7, 8)
    assert np.argwhere(horizontal).tolist() == [[2, 2]]
    assert np.argwhere(vertical).tolist() == [[1, 3]]


def test_no_near_duplicate_is_reported_among_different_photographs():
    photographs = make_photographs(1000, 32, 32)  # half a million pairs
    assert find(make_thumbnails(torch.from_numpy(photographs).permute(0, 3, 1, 2).contiguous()).numpy()) == []


@pytest.mark.parametrize("size", [64, 224])
def test_copies_in_another_compression_format_or_size_are_found(tmp_path, size):
    images = []
    for index, pixels in enumerate(make_photographs(4)):
        original = Image.fromarray(pixels)
        copies = [recompress(original, quality) for quality in (30, 60, 95)]
        copies += [recompress(original, 80, "WEBP"), recompress(original.resize((115, 86)), 90)]
        original.save(tmp_path / f"{index}.png")
        for number, content in enumerate(copies):
            (tmp_path / f"{index}-{number}").write_bytes(content)
        paths = [f"{index}.png", *(f"{index}-{number}" for number in range(len(copies)))]
        images += [read_image(tmp_path / path, (3, size, size), "stretch") for path in paths]
    expected = [[i, j] for i in range(24) for j in range(i + 1, 24) if i // 6 == j // 6]
    assert find(make_all(images)) == expected


def test_nearly_constant_images_are_no_near_duplicates_of_each_other():
    levels = torch.tensor([0, 0, 255, 255, 128, 129]).view(-1, 1, 1, 1).expand(-1, 1, 32, 32)
    noise = torch.randint(0, 3, (6, 1, 32, 32))
    images = (levels + noise).clamp(0, 255).to(torch.uint8)
    assert find(make_thumbnails(images).numpy()) == []


def test_noise_is_no_near_duplicate_of_other_noise():
    assert find(make_thumbnails(torch.randint(0, 256, (100, 3, 64, 64), dtype=torch.uint8)).numpy()) == []


def test_a_picture_with_other_brightness_or_mirrored_is_another_picture():
    original = make_photographs(1)[0]
    images = [original, original // 2, original[:, ::-1].copy()]
    assert find(make_all([torch.from_numpy(image).permute(2, 0, 1) for image in images])) == []


def test_exactly_the_pairs_that_differ_in_one_bit_at_most_are_candidates_and_each_once():
    bits = np.random.default_rng(0).random((200, 8)) < 0.5
    found = [tuple(sorted(pair)) for first, second in find_candidates(bits) for pair in zip(first, second, strict=True)]
    distances = (bits[:, None] != bits[None]).sum(axis=2)
    expected = [(i, j) for i in range(200) for j in range(i + 1, 200) if distances[i, j] <= 1]
    assert sorted(found) == expected


def test_candidates_come_in_blocks_of_limited_size(monkeypatch):
    monkeypatch.setattr(duplicates, "COMPARED_TOGETHER", 100)
    blocks = [len(first) for first, _ in find_candidates(np.zeros((80, 4), dtype=bool))]
    assert sum(blocks) == 80 * 79 // 2
    assert max(blocks) <= 100


@pytest.mark.parametrize("has_bitwise_count", [True, False])
def test_pairs_are_compared_by_the_number_of_different_bits(monkeypatch, has_bitwise_count):
    if not has_bitwise_count:
        monkeypatch.delattr(np, "bitwise_count", raising=False)
    generator = np.random.default_rng(0)
    bits = generator.random((50, NUM_BITS)) < 0.5
    for row in range(1, 50):
        bits[row] = bits[0] ^ (np.arange(NUM_BITS) < row % 25)[generator.permutation(NUM_BITS)]
    assert count_bits(pack(bits)[0]).tolist() == bits[:, :64].sum(axis=1).tolist()
    first, second = np.triu_indices(50, 1)
    close = (bits[first] != bits[second]).sum(axis=1) <= MAX_BITS
    assert 0 < close.sum() < len(close)
    kept = keep_close(pack(bits), first, second)
    assert [rows.tolist() for rows in kept] == [first[close].tolist(), second[close].tolist()]


def test_the_search_ends_early_if_there_are_very_many_pairs(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 100)
    pairs, is_complete = find_near_duplicates(np.repeat(make_photographs(1, 16, 16)[..., 0], 50, axis=0))
    assert len(pairs) >= 100
    assert not is_complete


@pytest.mark.parametrize("count", [0, 1])
def test_few_images_have_no_near_duplicates(count):
    assert find(make_photographs(count + 1, 16, 16)[:count, ..., 0]) == []


def test_search_ends_after_a_limit_of_comparisons_and_says_so(monkeypatch):
    thumbnails = np.full((300, 16, 16), 255, np.uint8)
    generator = np.random.default_rng(0)
    for thumbnail in thumbnails:  # small objects on a plain background
        top, left = generator.integers(0, 12, 2)
        thumbnail[top : top + 4, left : left + 4] = generator.integers(0, 200, (4, 4))
    assert find_near_duplicates(thumbnails)[1]
    monkeypatch.setattr("classifier.analysis.duplicates.MAX_COMPARED", 100)
    assert not find_near_duplicates(thumbnails)[1]
