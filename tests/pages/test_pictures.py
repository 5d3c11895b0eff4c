import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.reports import make_images, make_run
from helpers.results import make_random
from PIL import Image

from classifier.errors import UserError
from classifier.pages.pictures import LARGEST_SIDE, Album, fit_sides, make_picture


def open_uri(uri):
    head, _, content = uri.partition(",")
    assert head in ("data:image/png;base64", "data:image/jpeg;base64")
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_small_images_keep_every_pixel(channels):
    image = torch.randint(256, (channels, 28, 20), dtype=torch.uint8)
    picture = make_picture(image)
    assert (picture.width, picture.height, picture.is_exact) == (80, 112, True)
    pixels = np.asarray(open_uri(picture.uri))
    expected = image[0].numpy() if channels == 1 else image[:3].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(pixels, expected)


def test_second_of_two_channels_is_left_out():
    image = torch.randint(256, (2, 8, 8), dtype=torch.uint8)
    np.testing.assert_array_equal(np.asarray(open_uri(make_picture(image).uri)), image[0].numpy())


def test_photographs_are_reduced():
    picture = make_picture(make_images(400)([3])[0, :, :300])
    file = open_uri(picture.uri)
    assert (file.format, file.size, picture.is_exact) == ("JPEG", (LARGEST_SIDE, 120), False)
    assert (picture.width, picture.height) == (112, 84)


@pytest.mark.parametrize(
    ("size", "shown"), [((1, 1), (112, 112)), ((48, 1), (96, 2)), ((49, 49), (112, 112)), ((5000, 1), (112, 1))]
)
def test_size_on_the_page_is_limited_and_a_multiple_of_small_images(size, shown):
    assert fit_sides(*size) == shown


def test_equal_pictures_are_kept_once():
    results = make_random(10, 3)
    album = Album(max_bytes=100_000)
    first = album.add(make_run(results), [1, 2, 2])
    second = album.add(make_run(results), [2, 3])
    assert list(first) == [1, 2]
    assert first[2] == second[2]
    assert len(album.pictures) == 3
    assert album.bytes_left == 100_000 - sum(len(picture.uri) for picture in album.pictures.values())


def test_pictures_that_do_not_fit_are_left_out_and_reported():
    run = make_run(make_random(10, 3))
    size = len(Album().add(run, [0])[0].uri)
    album = Album(max_bytes=2 * size)
    assert len(album.add(run, range(10))) in (1, 2)
    assert sum(len(picture.uri) for picture in album.pictures.values()) <= 2 * size
    assert album.problem == "Some pictures are left out to keep this page small."


@pytest.mark.parametrize("error", [UserError("a.png is damaged"), FileNotFoundError(2, "missing", str(Path("a.png")))])
def test_images_that_cannot_be_read_are_reported(error):
    def get_images(_):
        raise error

    album = Album()
    assert album.add(make_run(make_random(5, 3), get_images=get_images), [0]) == {}
    assert "Some pictures are missing, because the images cannot be read: " in album.problem
    assert "a.png" in album.problem


def test_images_are_those_of_the_indices():
    """The rows of a table can be in another order than the images of the dataset."""
    results = make_random(4, 3).select(np.array([3, 1, 0, 2]))
    picture = Album().add(make_run(results), [0])[0]
    assert picture == make_picture(make_images(32)([3])[0])
