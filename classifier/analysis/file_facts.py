"""Sizes and kinds of pixels of the image files of a dataset."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from classifier.data.own_images.cache_entries import Contents


@dataclass(frozen=True)
class FileFacts:
    """Sizes and kinds of pixels of image files.

    Args:
        widths: Smallest, median and largest width in pixels.
        heights: Smallest, median and largest height in pixels.
        aspects: Smallest, median and largest quotient of width and height.
        num_enlarged: Number of files whose width and height are below those of the decoded images.
        modes: Number of files by the kind of pixels, such as "RGB", "L" or "I;16"; the most frequent one first.
    """

    widths: tuple[int, int, int]
    heights: tuple[int, int, int]
    aspects: tuple[float, float, float]
    num_enlarged: int
    modes: dict[str, int]


def describe_files(contents: Contents, image_shape: tuple[int, int, int]) -> FileFacts | None:
    """Return facts about the readable files, or None if they are not known.

    Args:
        contents: What is known of the files, at least one of which is readable.
        image_shape: Channels, height and width of the decoded images.
    """
    if contents.details is None:
        return None
    sizes, details = contents.details.sizes.numpy(), contents.details
    widths, heights = sizes[:, 0], sizes[:, 1]
    aspects = widths / heights
    enlarged = (widths < image_shape[2]) & (heights < image_shape[1])
    modes = Counter(details.mode_names[code] for code in details.modes.tolist())
    return FileFacts(
        (int(widths.min()), int(np.median(widths)), int(widths.max())),
        (int(heights.min()), int(np.median(heights)), int(heights.max())),
        (float(aspects.min()), float(np.median(aspects)), float(aspects.max())),
        int(enlarged.sum()),
        dict(modes.most_common()),
    )
