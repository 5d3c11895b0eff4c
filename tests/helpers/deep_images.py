"""Image files with 16 bits per channel, which Pillow cannot write."""

import struct
import zlib

import numpy as np


def encode_png(pixels: np.ndarray) -> bytes:
    """Return a PNG file of uint16 pixels (H, W, C): grey, grey and alpha, RGB, or RGBA."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def encode_ppm(pixels: np.ndarray, max_value: int = 65535) -> bytes:
    """Return a binary PPM file of uint16 pixels (H, W, 3)."""
    return b"P6 %d %d %d\n" % (*pixels.shape[1::-1], max_value) + pixels.astype(">u2").tobytes()


def encode_tiff(pixels: np.ndarray, order: str = "<", planar: bool = False, compress: bool = False) -> bytes:
    """Return a TIFF file of uint16 pixels (H, W, 3 or 4) in the byte order "<" or ">", in one strip or three planes."""
    height, width, channels = pixels.shape
    stored = (pixels.transpose(2, 0, 1) if planar else pixels).astype(f"{order}u2").tobytes()
    stored = zlib.compress(stored) if compress else stored
    size = len(stored) // (channels if planar else 1)
    offsets = range(8, 8 + len(stored), size)
    tags = [
        *((256, 3, [width]), (257, 3, [height]), (258, 3, [16] * channels), (259, 3, [8 if compress else 1])),
        *((262, 3, [2]), (273, 4, list(offsets)), (277, 3, [channels]), (278, 3, [height])),
        *((279, 4, [size] * len(offsets)), (284, 3, [2 if planar else 1])),
        *([(338, 3, [2])] if channels == 4 else []),
    ]
    start = 8 + len(stored) + len(stored) % 2
    entries, values, end = b"", b"", start + 2 + 12 * len(tags) + 4
    for tag, kind, numbers in tags:
        field = struct.pack(f"{order}{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        if len(field) > 4:
            values, field = values + field, struct.pack(f"{order}I", end + len(values))
        entries += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + field.ljust(4, b"\0")
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return header + stored.ljust(start - 8, b"\0") + struct.pack(f"{order}H", len(tags)) + entries + b"\0" * 4 + values


def make_deep_images() -> dict[str, bytes]:
    """Return small image files in colour with 16 bits per channel, by name."""
    pixels = np.random.default_rng(0).integers(0, 4096, (24, 20, 4)).astype(np.uint16)
    return {
        "png-rgb-16": encode_png(pixels[..., :3]),
        "png-grey-alpha-16": encode_png(pixels[..., :2]),
        "ppm-16": encode_ppm(pixels[..., :3]),
        "tiff-16": encode_tiff(pixels, compress=True),
        "tiff-planes-16": encode_tiff(pixels[..., :3], ">", planar=True),
    }
