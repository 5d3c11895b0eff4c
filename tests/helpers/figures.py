"""Read what a figure of images shows."""

import numpy as np
from matplotlib.figure import Figure


def get_pixels(figure: Figure) -> np.ndarray:
    """Return the picture (H, W, 3) in a figure."""
    return np.asarray(figure.axes[0].images[0].get_array())


def get_captions(figure: Figure) -> list[str]:
    """Return the captions of the images in a figure, without its title."""
    return [text.get_text() for text in figure.axes[0].texts[1:]]
