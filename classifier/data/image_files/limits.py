"""Limits on the size of image files, which keep the memory for decoding one of them at about 2 GB."""

from typing import BinaryIO

from PIL import ImageFile

MAX_FILE_SIZE = 10**9  # bytes
MAX_PIXELS = 250_000_000  # cameras of phones have up to 200 million pixels
# Every scan of a progressive JPEG takes time for all pixels, however few bytes it has. Encoders write about 10 scans.
MAX_SCANS = 100
# Memory in bytes per pixel that decoding takes at most, measured with Pillow 13 on images of 25 to 250 million pixels.
# Other formats take up to 8, JPEG usually less than 1.
USUAL_BYTES = 8
DECODER_BYTES = {"AVIF": 12, "HEIF": 12, "WEBP": 16}
JPEG2000_BYTES = 6  # for each channel
DEEP_COLOUR_BYTES = 16
# Decoders in Python need up to 4 microseconds per pixel. This factor limits them to 16 million pixels, or a minute.
PYTHON_DECODERS, PYTHON_FACTOR = ("ppm", "ppm_plain", "bmp_rle"), 16


class LimitError(ValueError):
    """An image is larger than allowed."""


def check_limits(image: ImageFile.ImageFile, file: BinaryIO, max_pixels: int) -> None:
    """Check the size of an image whose header has been read, and the number of scans of a progressive JPEG.

    Args:
        image: The image.
        file: The file that contains it.
        max_pixels: Number of pixels that an image may have, above 0; fewer in formats that take more memory or time.

    Raises:
        LimitError: The image has more pixels.
        ValueError: It has more than `MAX_SCANS` scans.
    """
    limit, pixels = int(max_pixels / get_cost(image)), image.width * image.height
    if pixels > limit:
        kind = "" if limit == max_pixels else f" for {image.format} files of this kind"
        raise LimitError(f"it has {pixels:,} pixels, above the limit of {limit:,}{kind} (max_pixels {max_pixels:,})")
    if image.info.get("progressive"):
        position = file.tell()
        file.seek(0)
        # This includes the scans of embedded thumbnails and of further pictures in the file, which a copy without
        # metadata does not have, and misses those whose marker is on the border of two blocks.
        num_scans = sum(block.count(b"\xff\xda") for block in iter(lambda: file.read(2**20), b""))
        file.seek(position)
        if num_scans > MAX_SCANS:
            raise ValueError(f"it has {num_scans:,} scans, above the limit of {MAX_SCANS}")


def get_cost(image: ImageFile.ImageFile) -> float:
    """Return how much more memory or time a pixel of an image takes than usual, as a factor of at least 1."""
    num_bytes = DECODER_BYTES.get(image.format or "", USUAL_BYTES)
    if image.format == "JPEG2000":
        num_bytes = max(USUAL_BYTES, JPEG2000_BYTES * len(image.getbands()))
    for decoder, _, _, arguments in image.tile:
        if decoder in PYTHON_DECODERS and arguments != ("RGB", 2**16 - 1):  # which is decoded as "raw"
            return PYTHON_FACTOR
        if len(image.getbands()) > 1 and ";16" in str(arguments):
            num_bytes = DEEP_COLOUR_BYTES
    return num_bytes / USUAL_BYTES
