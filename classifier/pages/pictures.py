"""Pictures of images for the page: small files as data URIs, each of them once."""

import base64
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from classifier.analysis.results.evaluate import EvaluatedRun
from classifier.errors import UserError

LARGEST_EXACT = 48  # pixels; images up to this size are shown pixel by pixel
LARGEST_SIDE = 160  # pixels; larger images are reduced to this size
SHOWN_SIDE = 112  # CSS pixels of the longer side of a picture on the page
MAX_BYTES = 1_900_000  # of all pictures; the page stays below 3 MB


@dataclass(frozen=True)
class Picture:
    """A picture on the page.

    Args:
        key: Id of the picture on the page, made from its content.
        uri: The file as a data URI.
        width: Width in CSS pixels.
        height: Height in CSS pixels.
        is_exact: Whether every pixel of the image is shown, which is then enlarged without interpolation.
    """

    key: str
    uri: str
    width: int
    height: int
    is_exact: bool


class Album:
    """The pictures of a page, without repetitions, up to a number of bytes."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.pictures: dict[str, Picture] = {}
        self.bytes_left = max_bytes
        self.problem: str | None = None  # why pictures are missing

    def add(self, run: EvaluatedRun, rows: Iterable[int]) -> dict[int, Picture]:
        """Add images of a run, and return their pictures by row number.

        Pictures are left out if the page would become too large, or if the images cannot be read any more; `problem`
        then says so.

        Args:
            run: The run that has evaluated the images.
            rows: Row numbers in its results, the most important first.
        """
        numbers = list(dict.fromkeys(int(row) for row in rows))
        if not numbers or self.bytes_left <= 0:
            return {}
        try:
            images = run.get_images(run.results.indices[numbers].tolist())
        except (UserError, OSError) as error:
            self.problem = f"Some pictures are missing, because the images cannot be read: {error}"
            return {}
        pictures = {}
        for row, image in zip(numbers, images, strict=True):
            picture = self.keep(make_picture(image))
            if picture is not None:
                pictures[row] = picture
        return pictures

    def keep(self, picture: Picture) -> Picture | None:
        """Return the picture, or None if there is no space left for it."""
        if picture.key in self.pictures:
            return picture
        self.bytes_left -= len(picture.uri)
        if self.bytes_left <= 0:
            self.problem = "Some pictures are left out to keep this page small."
            return None
        self.pictures[picture.key] = picture
        return picture


def make_picture(image: Tensor) -> Picture:
    """Return the picture of an image (C, H, W), uint8.

    Of more than three channels, the first three are used; of two, the first.
    """
    channels = image[:3] if len(image) >= 3 else image[:1]
    pixels = channels.permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else np.ascontiguousarray(pixels[:, :, 0]))
    is_exact = max(picture.size) <= LARGEST_EXACT
    buffer = io.BytesIO()
    if is_exact:
        picture.save(buffer, "PNG", compress_level=9)
    else:
        picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
        picture.save(buffer, "JPEG", quality=80)
    width, height = fit_sides(*picture.size)
    content = buffer.getvalue()
    uri = f"data:image/{'png' if is_exact else 'jpeg'};base64,{base64.b64encode(content).decode()}"
    return Picture("picture-" + hashlib.sha256(content).hexdigest()[:16], uri, width, height, is_exact)


def fit_sides(width: int, height: int) -> tuple[int, int]:
    """Return the size in CSS pixels: SHOWN_SIDE, or below it the largest multiple of the image's size."""
    longer = max(width, height)
    scale = SHOWN_SIDE // longer if longer <= LARGEST_EXACT else SHOWN_SIDE / longer
    return max(1, round(width * scale)), max(1, round(height * scale))
