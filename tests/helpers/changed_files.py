"""Small valid image files of many formats, and random changes to files, for the fuzzers."""

import io
import random

import numpy as np
from PIL import Image, PngImagePlugin


def encode(pixels: np.ndarray | Image.Image, name: str, **options: object) -> bytes:
    """Return the bytes of an image file in the format of the given name."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def make_images() -> dict[str, bytes]:
    """Return small valid image files of many formats and variants, by name."""
    generator = np.random.default_rng(0)
    colour = generator.integers(0, 256, (24, 20, 3), np.uint8)
    alpha = generator.integers(0, 256, (24, 20, 4), np.uint8)
    grey, deep = colour[..., 0], colour[..., 0].astype(np.uint16) * 257
    frames = [Image.fromarray(frame).convert("P") for frame in (colour, 255 - colour, colour // 2)]
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a" * 200, zip=True)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "description"
    animated = {"save_all": True, "append_images": frames[1:]}
    return {
        "png": encode(colour, "PNG", pnginfo=text, icc_profile=b"profile" * 50, exif=exif),
        "png-alpha": encode(alpha, "PNG"),
        "png-palette": encode(frames[0], "PNG", transparency=3),
        "png-16": encode(deep, "PNG"),
        "apng": encode(frames[0].convert("RGB"), "PNG", save_all=True, append_images=[Image.fromarray(colour)]),
        "jpeg": encode(colour, "JPEG", exif=exif),
        "jpeg-progressive": encode(colour, "JPEG", progressive=True),
        "jpeg-cmyk": encode(Image.fromarray(colour).convert("CMYK"), "JPEG"),
        "gif": encode(frames[0], "GIF", **animated, transparency=3),
        "tiff": encode(colour, "TIFF", exif=exif),
        "tiff-lzw": encode(colour, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": encode(deep, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-jpeg": encode(colour, "TIFF", compression="jpeg"),
        "tiff-float": encode(grey.astype(np.float32), "TIFF"),
        "tiff-frames": encode(Image.fromarray(colour), "TIFF", **animated),
        "webp": encode(alpha, "WEBP"),
        "webp-lossless": encode(alpha, "WEBP", lossless=True, exif=exif),
        "webp-animated": encode(Image.fromarray(alpha), "WEBP", save_all=True, append_images=[Image.fromarray(colour)]),
        "bmp": encode(colour, "BMP"),
        "bmp-palette": encode(frames[0], "BMP"),
        "ppm": encode(colour, "PPM"),
        "pgm-16": encode(deep, "PPM"),
        "jpeg2000": encode(colour, "JPEG2000"),
        "avif": encode(colour, "AVIF"),
        "ico": encode(Image.fromarray(alpha), "ICO", sizes=[(16, 16), (20, 20)]),
    }


def change(content: bytes, others: list[bytes], chosen: random.Random) -> bytes:
    """Return the contents of a file with one to four random changes."""
    data = bytearray(content)
    for _ in range(chosen.choice((1, 1, 1, 2, 4))):
        # Headers are at the beginning, so half of the changes are made there.
        end = len(data) if chosen.random() < 0.5 else min(len(data), 80)
        at, kind = chosen.randrange(end) if end else 0, chosen.randrange(7)
        if kind == 0 and data:
            data[at] ^= 1 << chosen.randrange(8)
        elif kind == 1:
            data[at : at + chosen.randint(1, 8)] = chosen.randbytes(chosen.randint(1, 8))
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at:at] = chosen.randbytes(chosen.randint(1, 20))
        elif kind == 4:  # a length field
            size, order = chosen.choice((2, 4, 8)), chosen.choice(("big", "little"))
            value = chosen.choice((0, 1, 9000, 65535, 10**5, 2**24, 2**31 - 1, 2**32 - 1, 10**12, 2**63 - 1))
            data[at : at + size] = min(value, 2 ** (8 * size) - 1).to_bytes(size, order)
        elif kind == 5:
            del data[at : at + chosen.randint(1, 30)]
        else:
            other = chosen.choice(others)
            data[at:] = other[chosen.randrange(len(other)) if chosen.random() < 0.5 else min(at, len(other) - 1) :]
    return bytes(data)
