"""Near duplicates: the same picture in another size, format or compression.

Candidates are images whose difference hashes differ in at most `MAX_BITS` bits. They are found without a comparison of
all pairs, and then confirmed by their thumbnails. The thresholds were chosen on recompressed and resized copies of 394
photographs of ants and bees, and on handwritten digits. At 64 and 224 pixels, copies as JPEG of quality 30 to 95, WebP,
GIF or PNG and in 0.5 to 1.3 times the size had differences of up to 0.17 (95% of them: 0.1) and of 7 bits. The two most
similar of 77,000 pairs of different photographs had a difference of 0.63, and any two of them differed in 23 bits. Of
1.6 million pairs of digits, which are alike, one had a difference below 0.15.
"""

from collections.abc import Iterator

import numpy as np

from classifier.data.image_files.thumbnails import SIDE

GRID = 8  # cells per row and column whose neighbours are compared
NUM_BITS = 2 * GRID * (GRID - 1)
NUM_BANDS = 6
# Of 6 bands, one has at most one wrong bit if all together have at most 11.
MAX_BITS = 2 * NUM_BANDS - 1
MAX_DIFFERENCE = 0.15  # root mean square of the difference of two thumbnails, in standard deviations of the pixels
# Standard deviation of the pixels of a thumbnail, of 255. The hash of an image with less contrast is mostly noise.
MIN_CONTRAST = 4.0
COMPARED_TOGETHER = 2**18  # pairs
MAX_PAIRS = 200_000  # the search ends when it has found as many
# It also ends after as many comparisons of hashes, or of thumbnails. FashionMNIST needs about 150 and 45 million.
MAX_COMPARED, MAX_MEASURED = 400_000_000, 100_000_000


def hash_differences(thumbnails: np.ndarray) -> np.ndarray:
    """Return the difference hash of every image: whether each cell of a grid is brighter than its neighbours.

    Args:
        thumbnails: uint8 (N, SIDE, SIDE); see `make_thumbnails`.

    Returns:
        A bool array (N, NUM_BITS): whether every cell but the first of a row is brighter than the one on its left, and
        then whether every cell but the first of a column is brighter than the one above.
    """
    size = SIDE // GRID
    cells = thumbnails.reshape(len(thumbnails), GRID, size, GRID, size).sum(axis=(2, 4), dtype=np.int32)
    horizontal, vertical = cells[:, :, 1:] > cells[:, :, :-1], cells[:, 1:] > cells[:, :-1]
    return np.concatenate([half.reshape(len(cells), NUM_BITS // 2) for half in (horizontal, vertical)], axis=1)


def find_near_duplicates(thumbnails: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return all pairs of images that show the same picture, except images of nearly constant brightness.

    Args:
        thumbnails: uint8 (N, SIDE, SIDE); see `make_thumbnails`.

    Returns:
        Pairs of indices, int64 (P, 2), of which the first is the lower one, in increasing order; and whether the search
        was complete. It ends early after `MAX_PAIRS` pairs, as for the frames of videos, or after `MAX_COMPARED` or
        `MAX_MEASURED` comparisons, as for small objects on a plain background.
    """
    pixels = thumbnails.reshape(len(thumbnails), SIDE * SIDE)
    contrast = np.array([part.std() for part in pixels], dtype=np.float32)
    used = np.flatnonzero(contrast >= MIN_CONTRAST)
    bits = hash_differences(thumbnails[used])
    words = pack(bits)
    found, compared, measured = np.empty(0, dtype=np.int64), 0, 0
    for band in range(NUM_BANDS):
        for first, second in find_candidates(bits[:, band::NUM_BANDS]):
            compared += len(first)
            first, second = (used[rows] for rows in keep_close(words, first, second))
            measured += len(first)
            same = measure_difference(pixels, contrast, first, second) <= MAX_DIFFERENCE
            first, second = first[same], second[same]
            pairs = np.minimum(first, second) * len(thumbnails) + np.maximum(first, second)
            found = np.union1d(found, pairs)
            if len(found) >= MAX_PAIRS or compared >= MAX_COMPARED or measured >= MAX_MEASURED:
                return split_pairs(found, len(thumbnails)), False
    return split_pairs(found, len(thumbnails)), True


def split_pairs(codes: np.ndarray, count: int) -> np.ndarray:
    """Return pairs of indices that were encoded as the first index times `count` plus the second one.

    Args:
        codes: int64 (P,).
        count: Number of images, above every index.

    Returns:
        An int64 array (P, 2).
    """
    return np.stack([codes // max(count, 1), codes % max(count, 1)], axis=1)


def measure_difference(pixels: np.ndarray, contrast: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the root mean square difference of pairs of thumbnails, divided by the lower of their contrasts.

    Args:
        pixels: uint8 (N, D).
        contrast: Standard deviation of the pixels of each thumbnail (N,), above 0 for those compared.
        first: Indices (P,) of the first thumbnail of every pair.
        second: Indices (P,) of the second ones.

    Returns:
        A float array (P,).
    """
    results = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), 2**14):
        part = slice(start, start + 2**14)
        difference = pixels[first[part]].astype(np.float32) - pixels[second[part]]
        results[part] = np.sqrt(np.einsum("ij,ij->i", difference, difference) / pixels.shape[1])
    return results / np.minimum(contrast[first], contrast[second])


def find_candidates(bits: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of rows that differ in at most one bit, each pair once.

    Args:
        bits: bool (N, B), with B up to 62.

    Yields:
        Indices of the first and of the second row of up to about `COMPARED_TOGETHER` pairs.
    """
    keys = bits @ (np.int64(1) << np.arange(bits.shape[1], dtype=np.int64))
    order = np.argsort(keys, kind="stable")
    values, starts, counts = np.unique(keys[order], return_index=True, return_counts=True)
    groups = np.arange(len(values))
    yield from combine(order, starts, counts, groups, groups)
    for bit in range(bits.shape[1]):
        without = np.flatnonzero((values >> bit) & 1 == 0)
        partner = np.searchsorted(values, values[without] | (1 << bit))
        partner = np.minimum(partner, len(values) - 1)
        exists = values[partner] == values[without] | (1 << bit)
        yield from combine(order, starts, counts, without[exists], partner[exists])


def combine(
    order: np.ndarray, starts: np.ndarray, counts: np.ndarray, first: np.ndarray, second: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of a member of one group and a member of another, or of two members of the same group.

    Args:
        order: Members of all groups, one group after the other.
        starts: Position in `order` of the first member of every group.
        counts: Number of members of every group.
        first: Groups (P,), each of which is combined with the one at the same position in `second`.
        second: Groups (P,); the same ones as `first`, or others.
    """
    is_same = first is second
    rows = repeat_ranges(starts[first], counts[first])
    groups = np.repeat(second, counts[first])
    begins = rows + 1 if is_same else starts[groups]  # a member of the same group is combined with those after it
    lengths = starts[groups] + counts[groups] - begins
    ends = np.cumsum(lengths)
    low = 0
    while low < len(rows):
        done = ends[low] - lengths[low]
        high = max(low + 1, int(np.searchsorted(ends, done + COMPARED_TOGETHER, side="right")))
        yield (
            order[np.repeat(rows[low:high], lengths[low:high])],
            order[repeat_ranges(begins[low:high], lengths[low:high])],
        )
        low = high


def repeat_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the integers of ranges that begin at `starts` and have the given lengths, one range after the other."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)


def keep_close(words: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the given pairs of rows whose hashes differ in at most `MAX_BITS` bits.

    Args:
        words: Packed hashes, uint64 (2, N).
        first: Indices of the first hash of every pair.
        second: Indices of the second ones.

    Returns:
        The indices of the first and of the second hash of the remaining pairs.
    """
    counts = np.zeros(len(first), dtype=np.uint8)
    for column in words:
        counts += count_bits(column[first] ^ column[second])
        close = counts <= MAX_BITS
        first, second, counts = first[close], second[close], counts[close]
    return first, second


def pack(bits: np.ndarray) -> np.ndarray:
    """Return rows of up to 128 bits, a bool array (N, B), as uint64 (2, N)."""
    padded = np.zeros((len(bits), 128), dtype=bool)
    padded[:, : bits.shape[1]] = bits
    return np.ascontiguousarray(np.packbits(padded, axis=1).view(np.uint64).T)


def count_bits(words: np.ndarray) -> np.ndarray:
    """Return the number of bits in each of the uint64 values (N,), as uint8 (N,)."""
    if hasattr(np, "bitwise_count"):  # since NumPy 2
        return np.bitwise_count(words)
    return np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.uint8)
