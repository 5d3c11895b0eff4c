"""Metadata of image files: their orientation, and copies of files without metadata."""

import io
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

from PIL import ExifTags, Image

# What the values of the EXIF tag "orientation" mean; 1 stands for no change.
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
MAX_STRIPPED = 2 * 10**8  # bytes of a file that is copied in memory

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # chunks that the first frame depends on

JPEG_SIGNATURE = b"\xff\xd8\xff"
# Segments that the pixels do not depend on: comments, and those of applications except number 14, in which Adobe's
# programs state the colour space.
JPEG_METADATA = {0xFE, *range(0xE0, 0xF0)} - {0xEE}
JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
JPEG_SCAN, JPEG_END = 0xDA, 0xD9
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # after a scan

GIF_SIGNATURES = (b"GIF87a", b"GIF89a")
GIF_EXTENSION, GIF_CONTROL = b"\x21", b"\xf9"  # the second has the transparent colour

TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
# Tags that the pixels depend on, up to 532: the size and type of the image, and the place and compression of its parts.
TIFF_PIXELS = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 284, 290, 291, 292, 293, 301),
    *(317, 320, 321, 322, 323, 324, 325, 330, 332, 334, 336, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531),
    532,
}
AVIF_ITEM = re.compile(rb"(infe.{8})(?:Exif|mime)", re.DOTALL)  # an entry of the table of contents


def get_orientation(image: Image.Image) -> int:
    """Return the orientation of an image, from 1 to 8, or 1 if it has none that can be read."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged metadata
        return 1
    return orientation if isinstance(orientation, int) and orientation in ORIENTATIONS else 1


def strip_metadata(file: BinaryIO) -> tuple[BinaryIO, int | None] | None:
    """Return a copy of a JPEG, PNG, GIF, TIFF or AVIF file without metadata.

    Pillow reads metadata when it opens a file, and fails if they are damaged or very large. A second attempt with this
    copy fails only if the pixels are damaged.

    Args:
        file: The file.

    Returns:
        The copy in memory, and the orientation of the image from 1 to 8, or None if the copy contains it. None instead
        of both, if the file is in another format, or has no metadata.
    """
    file.seek(0)
    content, orientation = file.read(MAX_STRIPPED + 1), None
    if len(content) > MAX_STRIPPED:
        return None
    stripped = content
    if content.startswith(PNG_SIGNATURE):
        chunks = list(list_chunks(content))
        stripped = PNG_SIGNATURE + b"".join(chunk for name, chunk in chunks if name in PNG_PIXELS)
        orientation = find_orientation([chunk[8:-4] for name, chunk in chunks if name not in PNG_PIXELS])
    elif content.startswith(JPEG_SIGNATURE):
        segments = list(list_segments(content))
        stripped = JPEG_SIGNATURE[:2] + b"".join(part for marker, part in segments if marker not in JPEG_METADATA)
        orientation = find_orientation([part[4:] for marker, part in segments if marker in JPEG_METADATA])
    elif content.startswith(GIF_SIGNATURES):
        stripped = b"".join(block for is_metadata, block in list_blocks(content) if not is_metadata)
    elif content[:4] in TIFF_ORDERS:
        stripped = empty_tags(content, TIFF_ORDERS[content[:4]])
    elif content[4:8] == b"ftyp":
        stripped = AVIF_ITEM.sub(rb"\1skip", content)  # decoders ignore items of an unknown type
    return (io.BytesIO(stripped), orientation) if stripped != content else None


def list_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the names and the bytes of the chunks of a PNG file."""
    position = len(PNG_SIGNATURE)
    while position < len(content):
        end = position + 12 + int.from_bytes(content[position : position + 4], "big")
        yield content[position + 4 : position + 8], content[position:end]
        position = end


def list_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the markers and the bytes of the segments of a JPEG file, up to the end of its first picture."""
    marker, position = 0, 2
    while marker != JPEG_END and (start := content.find(b"\xff", position)) >= 0:  # skips what Pillow skips
        while content[start + 1 : start + 2] == b"\xff":
            start += 1
        marker = int.from_bytes(content[start + 1 : start + 2], "big")
        position = start + 2
        if marker != JPEG_END and marker not in JPEG_WITHOUT_LENGTH:
            position += int.from_bytes(content[position : position + 2], "big")
        if marker == JPEG_SCAN:
            following = JPEG_MARKER.search(content, position)
            position = following.start() if following else len(content)
        yield marker, content[start:position]


def list_blocks(content: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield whether a block of a GIF file is metadata, and its bytes; the last one contains all frames."""
    position = 13 + (6 << (content[10] & 7) if len(content) > 10 and content[10] & 128 else 0)  # header and palette
    yield False, content[:position]
    while content[position : position + 1] == GIF_EXTENSION:
        end = position + 2
        while size := int.from_bytes(content[end : end + 1], "big"):
            end += 1 + size
        yield content[position + 1 : position + 2] != GIF_CONTROL, content[position : end + 1]
        position = end + 1
    yield False, content[position:]


def empty_tags(content: bytes, order: str) -> bytes:
    """Return a TIFF file with no values in those tags of its first image that the pixels do not depend on.

    Args:
        content: The file.
        order: Its byte order, "<" or ">".
    """
    changed = bytearray(content)
    try:
        (start,) = struct.unpack_from(order + "I", content, 4)
        (count,) = struct.unpack_from(order + "H", content, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, length = struct.unpack_from(order + "HHI", content, position)
            is_damaged = tag == ExifTags.Base.Orientation and (kind, length) != (3, 1)
            if tag not in TIFF_PIXELS or is_damaged:
                struct.pack_into(order + "HII", changed, position + 2, 1, 0, 0)
    except struct.error:  # the list of tags is not complete
        return content
    return bytes(changed)


def find_orientation(metadata: list[bytes]) -> int:
    """Return the orientation in pieces of metadata, from 1 to 8, or 1 if they contain none that can be read."""
    for data in metadata:
        exif = Image.Exif()
        try:
            exif.load(data)
            orientation = exif.get(ExifTags.Base.Orientation)
        except Exception:  # no EXIF, or damaged
            orientation = None
        if isinstance(orientation, int) and orientation in ORIENTATIONS:
            return orientation
    return next((int(match[1]) for data in metadata if (match := XMP_ORIENTATION.search(data))), 1)
