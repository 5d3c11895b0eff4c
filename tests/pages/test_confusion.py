import base64
import io

import numpy as np
from PIL import Image

from classifier.pages.confusion import LEVELS, show_confusions


def test_few_classes_are_a_table_of_counts():
    matrix = show_confusions(np.array([[3, 1], [0, 0]]))
    assert matrix.uri is None
    assert [[(cell.count, cell.opacity) for cell in row] for row in matrix.rows] == [
        [(3, 0.75**0.5), (1, 0.5)],
        [(0, 0.0), (0, 0.0)],
    ]


def test_many_classes_are_a_picture_with_a_pixel_per_cell():
    counts = np.zeros((30, 30), dtype=np.int64)
    counts[2, 2], counts[2, 5], counts[7, 0] = 99, 1, 4
    matrix = show_confusions(counts)
    assert matrix.rows == []
    content = base64.b64decode(matrix.uri.removeprefix("data:image/png;base64,"))
    opacity = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))[:, :, 3]
    assert (opacity > 0).tolist() == (counts > 0).tolist()  # also one image of a hundred
    assert opacity[7, 0] == 255
    assert opacity[2, 5] == 255 * 2 // (LEVELS - 1)


def test_picture_of_a_thousand_classes_is_small():
    counts = np.random.default_rng(0).integers(0, 1000, (2, 10_000))
    table = np.zeros((1000, 1000), dtype=np.int64)
    np.add.at(table, (counts[0], counts[1]), 1)
    assert len(show_confusions(table).uri) < 100_000
