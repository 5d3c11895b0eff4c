"""Conversion of decoded images of every mode to 8-bit grey or RGB, strip by strip to limit the memory."""

from collections.abc import Iterator

from PIL import Image

from classifier.data.image_files.intensities import (
    MODE_LIMITS,
    Intensities,
    has_deep_grey,
    read_values,
    round_up,
    scale_to_8_bits,
)

STRIP_PIXELS = 2**20  # pixels that are converted together
# Images with more pixels are reduced while they are converted, because the memory would not hold them twice.
REDUCED_PIXELS = 10**8

Box = tuple[int, int, int, int]


def convert_image(
    image: Image.Image,
    low_bytes: Image.Image | None,
    mode: str,
    max_value: float | None = None,
    min_size: tuple[int, int] | None = None,
) -> tuple[Image.Image, Intensities | None]:
    """Convert an image to mode "L" or "RGB", with 8 bits per value and transparent pixels on white.

    Args:
        image: Image of any mode.
        low_bytes: Image of the low bytes, if `image` contains the high bytes of 16 bits per channel, or None.
        mode: Mode of the result.
        max_value: Value that becomes 255 in an image with more than 8 bits per channel, above 0. Higher values become
            255, too, and those below 0 become 0. None chooses the largest value of the image's type.
        min_size: Width and height that the result must have at least. If the image has more than `REDUCED_PIXELS`
            pixels, blocks of pixels are averaged down to about this size. None keeps the size.

    Returns:
        The image and, if it had more than 8 bits per channel, what values it had.
    """
    is_large = min_size and image.width * image.height > REDUCED_PIXELS
    factor = max(1, min(image.width // min_size[0], image.height // min_size[1])) if min_size and is_large else 1
    is_deep = has_deep_grey(image) or low_bytes is not None
    if not is_deep and image.width * image.height <= STRIP_PIXELS:
        return convert_8_bits(image, mode), None
    boxes, intensities = list(list_strips(image, factor)), None
    if is_deep:
        highest = max(float(read_values(cut(image, box), low_bytes and cut(low_bytes, box)).max()) for box in boxes)
        intensities = Intensities(highest, image.mode == "F")
        max_value = max_value or round_up(highest, MODE_LIMITS.get(image.mode, (2**16 - 1,)))
    converted = Image.new(mode, (-(-image.width // factor), -(-image.height // factor)))
    for box in boxes:
        strip = cut(image, box)
        if max_value and is_deep:
            strip = scale_to_8_bits(strip, low_bytes and cut(low_bytes, box), max_value)
        strip = convert_8_bits(strip, mode)
        converted.paste(strip.reduce(factor) if factor > 1 else strip, (0, box[1] // factor))
    return converted, intensities


def list_strips(image: Image.Image, factor: int) -> Iterator[Box]:
    """Yield boxes (left, upper, right, lower) of strips that cover an image, with heights divisible by `factor`."""
    height = factor * max(1, STRIP_PIXELS // (image.width * factor))
    for top in range(0, image.height, height):
        yield 0, top, image.width, min(top + height, image.height)


def cut(image: Image.Image, box: Box) -> Image.Image:
    """Return a part of an image.

    `Image.crop` does the same and also applies Pillow's limit on the number of pixels, which belongs to the process.
    """
    return image.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST, box)


def convert_8_bits(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image with 8 bits per channel to mode "L" or "RGB", with transparent pixels on white."""
    if image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image if image.mode == mode else image.convert(mode)
