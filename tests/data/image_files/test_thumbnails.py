"""Thumbnails: exact means of areas, without padding."""

import pytest
import torch

from classifier.data.image_files.thumbnails import SIDE, get_weights, make_thumbnails


def test_every_pixel_is_the_rounded_mean_of_an_area_of_all_channels():
    images = torch.randint(0, 256, (2, 3, 2 * SIDE, 3 * SIDE), dtype=torch.uint8)
    expected = images.double().view(2, 3, SIDE, 2, SIDE, 3).mean(dim=(1, 3, 5))
    assert (make_thumbnails(images) - expected).abs().max() <= 0.5001


@pytest.mark.parametrize("length", [1, 8, 28, 32, 224, 1000])
def test_weights_average_all_pixels_equally(length):
    weights = get_weights(length)
    assert weights.sum(axis=1).tolist() == pytest.approx([1] * SIDE)
    assert weights.sum(axis=0).tolist() == pytest.approx([SIDE / length] * length)


def test_of_tall_images_some_rows_are_read():
    rows = torch.arange(224) % 2 * 100
    image = rows.to(torch.uint8).view(1, 1, -1, 1).expand(-1, -1, -1, 10)
    assert make_thumbnails(image).unique().tolist() == [0]
    assert make_thumbnails(image[:, :, :223]).unique().tolist() != [0]


def test_padding_is_left_out():
    wide = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    wide[:, :, 8:24] = 200
    assert make_thumbnails(wide, [(200, 100)]).unique().tolist() == [200]
    assert make_thumbnails(wide.mT, [(100, 200)]).unique().tolist() == [200]
    assert make_thumbnails(wide).unique().tolist() == [0, 200]
