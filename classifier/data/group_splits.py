"""Choose groups of images to hold out, so that the images of a group stay together."""

from collections import defaultdict

import numpy as np

TOP = 2**63  # positions are from 0 to below this number
WINDOW = 100  # groups on each side of the last one that is taken whose sizes are combined to meet a number of images


class Groups:
    """Groups of labelled images that can be held out, in the order of their positions.

    Args:
        labels: Class indices of the images (N,), int64.
        positions: Positions of the images (N,), int64, the same for all images of a group.
        num_classes: Number of classes, C.
        keep: Number of groups with images of every class that are not held out, if the class is in more than these.
    """

    def __init__(self, labels: np.ndarray, positions: np.ndarray, num_classes: int, keep: int) -> None:
        self.num_classes = num_classes
        self.positions, self.group_of, self.sizes = np.unique(positions, return_inverse=True, return_counts=True)
        self.pair_groups, self.pair_labels = np.divmod(np.unique(self.group_of * num_classes + labels), num_classes)
        self.totals = np.bincount(self.pair_labels, minlength=num_classes)  # groups with images of every class
        self.needed = np.stack([np.clip(self.totals - 1, 1, keep), np.ones(num_classes, np.int64)]) * (self.totals > 0)

    def count_lacking(self, chosen: np.ndarray) -> np.ndarray:
        """Return how many groups with images of every class are missing on each side.

        Args:
            chosen: Whether each of the G groups is held out.

        Returns:
            An int64 array (2, C): the groups missing among those that are not held out, and among those that are.
        """
        inside = np.bincount(self.pair_labels[chosen[self.pair_groups]], minlength=self.num_classes)
        return np.maximum(self.needed - np.stack([self.totals - inside, inside]), 0)

    def complete(self, chosen: np.ndarray) -> tuple[np.ndarray, int | None]:
        """Move groups to the other side until no class is missing on any side.

        Args:
            chosen: Whether each of the G groups is held out.

        Returns:
            The corrected choice, and None, or a class for which no such group was found.
        """
        lacking = self.count_lacking(chosen)
        while lacking.any():
            side, label = (int(index[0]) for index in lacking.nonzero())
            groups = self.pair_groups[self.pair_labels == label]
            groups = groups[chosen[groups] != side]
            for group in groups if side else groups[::-1]:
                moved = chosen.copy()
                moved[group] = side
                now = self.count_lacking(moved)
                if (now <= lacking).all() and now.sum() < lacking.sum():
                    chosen, lacking = moved, now
                    break
            else:
                return chosen, label
        return chosen, None

    def find_free(self, chosen: np.ndarray) -> np.ndarray:
        """Return a bool mask (G,) of groups that can be on any side, because the others have every class on both sides.

        Args:
            chosen: A choice (G,) in which no class is missing on any side.
        """
        free = np.ones(len(chosen), dtype=bool)
        for side, needed in enumerate(self.needed):
            for label in needed.nonzero()[0]:
                groups = self.pair_groups[self.pair_labels == label]
                groups = groups[chosen[groups] == side]
                missing = int(needed[label] - (~free[groups]).sum())
                if missing > 0:
                    unlocked = groups[free[groups]]
                    free[unlocked[:missing] if side else unlocked[-missing:]] = False
        return free

    def meet(self, chosen: np.ndarray, amount: int) -> np.ndarray:
        """Return a choice of groups that have a number of images as near to `amount` as their sizes allow.

        Groups with images of the same classes are held out in proportion, unless this misses the number.

        Args:
            chosen: A choice (G,) in which no class is missing on any side, which is preserved.
            amount: Number of images to hold out.
        """
        free = self.find_free(chosen)
        result = chosen & ~free
        kinds: dict[tuple[int, ...], list[int]] = defaultdict(list)
        classes = np.split(self.pair_labels, np.flatnonzero(np.diff(self.pair_groups)) + 1)
        for group, labels in enumerate(classes):
            kinds[tuple(labels.tolist())].append(group)
        rest = 0.0
        # What large groups miss is then added to the number for smaller ones.
        for members in sorted(map(np.array, kinds.values()), key=lambda groups: -int(self.sizes[groups].min())):
            share = self.sizes[members].sum() * (amount / self.sizes.sum()) + rest
            fixed = int(self.sizes[members[result[members]]].sum())
            movable = members[free[members]]
            result[movable] = choose_sum(self.sizes[movable], round(share) - fixed)
            rest = share - int(self.sizes[members[result[members]]].sum())
        movable = free.nonzero()[0]
        other = chosen & ~free
        other[movable] = choose_sum(self.sizes[movable], amount - int(self.sizes[other].sum()))
        return min(result, other, key=lambda choice: abs(int(self.sizes[choice].sum()) - amount))


def choose_sum(sizes: np.ndarray, target: int) -> np.ndarray:
    """Return which of some sizes to take for a sum as near as possible to a target, the first ones where possible.

    If there are more than 2 * `WINDOW` sizes, only those around the place where the sum of the first ones reaches the
    target are combined.

    Args:
        sizes: int64 (N,), above 0.
        target: The sum; one below 0 counts as 0.

    Returns:
        A bool mask (N,).
    """
    target = max(target, 0)
    middle = int(np.searchsorted(sizes.cumsum(), target, side="right"))
    first = max(0, middle - WINDOW)
    taken = np.arange(len(sizes)) < first
    target -= int(sizes[:first].sum())
    combined: list[int] = sizes[first : middle + WINDOW].tolist()
    # Bit s of reachable[i] is set if s is a sum of some of combined[i:]; sums far above the target are left out.
    mask, reachable = (1 << (target + max(combined, default=0) + 1)) - 1, [1]
    for size in reversed(combined):
        reachable.append((reachable[-1] | reachable[-1] << size) & mask)
    below, above = reachable[-1] & ((1 << (target + 1)) - 1), reachable[-1] >> (target + 1)
    remaining = below.bit_length() - 1
    if above and (distance := (above & -above).bit_length()) < target - remaining:
        remaining = target + distance
    for i, size in enumerate(combined, 1):
        if remaining >= size and reachable[-1 - i] >> (remaining - size) & 1:
            taken[first + i - 1] = True
            remaining -= size
    return taken


def hold_out_groups(
    labels: np.ndarray, positions: np.ndarray, amount: int | float, num_classes: int, keep: int
) -> tuple[np.ndarray, int | None]:
    """Choose groups of images to hold out, so that every class has images on both sides.

    With a fraction, the groups below the same fraction of all positions are chosen, and others only for classes that
    would be missing on one side. With a number, groups whose sizes add up to it are chosen, of those with the same
    classes in proportion and those with the lowest positions first, as far as this is possible.

    Args:
        labels: Class indices (N,), int64.
        positions: Positions (N,), int64, from 0 to below `TOP`, the same for all images of a group.
        amount: A number of images (int), or a fraction above 0 and below 1 (float).
        num_classes: Number of classes.
        keep: Number of groups with images of every class that are not chosen, if the class is in more than these.

    Returns:
        A bool mask (N,) of the chosen images, and None, or a class for which no choice with images on both sides was
        found. All choices would take too long to try.
    """
    fraction = amount / len(labels) if isinstance(amount, int) else amount
    for kept in sorted({keep, 1}, reverse=True):
        groups = Groups(labels, positions, num_classes, kept)
        chosen, impossible = groups.complete(groups.positions < int(fraction * TOP))
        if impossible is None:
            break
    if impossible is None and isinstance(amount, int):
        chosen = groups.meet(chosen, amount)
    return chosen[groups.group_of], impossible
