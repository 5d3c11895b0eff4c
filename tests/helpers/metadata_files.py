"""Image files with metadata of every kind, in parts."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

from helpers.changed_files import encode
from helpers.metadata_changes import ImageParts, Part

ORIENTATION = 0x0112
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def make_exif(byte_order: str = "<", orientation: int | None = 6) -> bytes:
    """Return a block of EXIF with a tag of every type, whose fractions have the signed type and denominators of 0."""
    values: list[tuple[int, int, int, bytes]] = [  # tag, type, count, value
        (0x010E, 2, 12, b"description\0"),
        (0x010F, 2, 3, b"A\0\0"),
        *([(ORIENTATION, 3, 1, struct.pack(byte_order + "H", orientation))] if orientation else []),
        (0x011A, 10, 1, struct.pack(byte_order + "ii", -1, 0)),
        (0x011B, 5, 1, struct.pack(byte_order + "II", 72, 0)),
        (0x0128, 3, 1, struct.pack(byte_order + "H", 2)),
        (0x0201, 4, 1, struct.pack(byte_order + "I", 8)),
        (0x9000, 7, 4, b"0232"),
        (0x9201, 10, 2, struct.pack(byte_order + "iiii", 1, 0, -5, 7)),
        (0xA000, 1, 3, b"\1\2\3"),
        (0xA001, 6, 3, b"\1\2\3"),
        (0xA002, 8, 1, struct.pack(byte_order + "h", -3)),
        (0xA003, 9, 1, struct.pack(byte_order + "i", -3)),
        (0xA004, 11, 1, struct.pack(byte_order + "f", float("nan"))),
        (0xA005, 12, 1, struct.pack(byte_order + "d", float("inf"))),
    ]
    offset, body, data = 8 + 2 + 12 * len(values) + 4, b"", b""
    for tag, kind, count, value in values:
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            field = struct.pack(byte_order + "I", offset + len(data))
            data += value
        body += struct.pack(byte_order + "HHI", tag, kind, count) + field
    header = b"II*\0\x08\0\0\0" if byte_order == "<" else b"MM\0*\0\0\0\x08"
    return header + struct.pack(byte_order + "H", len(values)) + body + b"\0\0\0\0" + data


def make_icc() -> bytes:
    """Return a valid ICC profile, without the time at which it was created."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]


def make_jpeg(progressive: bool = False) -> ImageParts:
    """Return a JPEG file with segments of every application that Pillow knows, and a second picture behind it."""

    def segment(marker: int, name: str, content: bytes, is_orientation: bool = False) -> Part:
        def wrap(changed: bytes) -> bytes:
            changed = changed[: 2**16 - 3]
            return struct.pack(">BBH", 0xFF, marker, len(changed) + 2) + changed

        return Part(name, content, wrap, is_orientation)

    content = encode(PIXELS, "JPEG", progressive=progressive)
    length = 4 + struct.unpack(">H", content[4:6])[0]  # of the start and the JFIF segment
    photoshop = b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0" + struct.pack(">I", 16) + b"\0" * 16
    photoshop += b"8BIM\x04\x04\0\0" + struct.pack(">I", 8) + b"\x1c\x02\x05\0\x03abc"
    mpf = b"MPF\0" + Image.Exif().tobytes()[6:]
    return ImageParts(
        "jpeg-progressive" if progressive else "jpeg",
        [
            b"\xff\xd8",
            segment(0xE0, "JFIF", content[6:length]),
            segment(0xE1, "EXIF", b"Exif\0\0" + make_exif(">"), True),
            segment(0xE1, "XMP", b"http://ns.adobe.com/xap/1.0/\0" + XMP, True),
            segment(0xE2, "ICC", b"ICC_PROFILE\0\1\1" + make_icc()),
            segment(0xE2, "FPXR", b"FPXR\0\0"),
            segment(0xE2, "MPF", mpf),
            segment(0xED, "Photoshop", photoshop),
            segment(0xEC, "Ducky", b"Ducky\0\1\0\4\0\0\0<\0\0"),
            segment(0xFE, "comment", b"a comment"),
            content[length:],
            Part("second picture", encode(PIXELS, "JPEG"), bytes),
        ],
    )


def make_png() -> ImageParts:
    """Return a PNG file with a chunk of every ancillary type."""

    def chunk(name: bytes, content: bytes, is_orientation: bool = False) -> Part:
        def wrap(changed: bytes) -> bytes:
            checksum = zlib.crc32(name + changed) ^ (len(changed) % 3 == 0 and changed != content)  # some are wrong
            return struct.pack(">I", len(changed)) + name + changed + struct.pack(">I", checksum)

        return Part(name.decode(), content, wrap, is_orientation)

    content = encode(PIXELS, "PNG")
    start, end = content.index(b"IDAT") - 4, content.index(b"IEND") - 4
    bomb = zlib.compress(b"a" * 2**22)
    before = [
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(make_icc())),
        chunk(b"gAMA", struct.pack(">I", 45455)),
        chunk(b"cHRM", struct.pack(">8I", *range(1, 9))),
        chunk(b"sRGB", b"\0"),
        chunk(b"sBIT", b"\x08\x08\x08"),
        chunk(b"bKGD", b"\0\1\0\2\0\3"),
        chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
        chunk(b"sPLT", b"name\0\x08\1\2\3\4\0\1"),
        chunk(b"tIME", b"\x07\xe8\1\2\3\4\5"),
        chunk(b"tEXt", b"Comment\0text"),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"text")),
        chunk(b"zTXt", b"Comment\0\0" + bomb),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP, True),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        chunk(b"eXIf", make_exif(), True),
        chunk(b"prVt", b"private"),
    ]
    return ImageParts("png", [content[:start], *before, content[start:end], chunk(b"tEXt", b"a\0b"), content[end:]])


def make_webp() -> ImageParts:
    """Return a WebP file with an ICC profile, EXIF and XMP."""
    content = encode(PIXELS, "WEBP", lossless=True, icc_profile=make_icc(), exif=b"Exif\0\0" + make_exif(), xmp=XMP)
    parts: list[bytes | Part] = [content[:12]]
    position = 12
    while position < len(content):
        name, size = content[position : position + 4], struct.unpack("<I", content[position + 4 : position + 8])[0]
        body = content[position + 8 : position + 8 + size]
        if name in (b"ICCP", b"EXIF", b"XMP "):

            def wrap(changed: bytes, name: bytes = name, size: int = size) -> bytes:
                changed = changed[:size].ljust(size, b"\0")  # because the header of the file has its size
                return name + struct.pack("<I", size) + changed + b"\0" * (size % 2)

            parts.append(Part(name.decode(), body, wrap, name in (b"EXIF", b"XMP ")))
        else:
            parts.append(content[position : position + 8 + size + size % 2])
        position += 8 + size + size % 2
    return ImageParts("webp", parts)


def make_tiff(compression: str | None = None) -> ImageParts:
    """Return a TIFF file with tags of every type, whose values and fields can be changed."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010E], exif[0x0131], exif[0x011A] = "description", "software", 72.0
    exif[0x02BC], exif[0x8773], exif[0x83BB], exif[0x8649] = (
        XMP,
        make_icc(),
        b"\x1c\2\5\0\3abc",
        b"8BIM\4\4\0\0\0\0\0\0",
    )
    exif.get_ifd(0x8769).update({0x9000: b"0232", 0x829A: 0.01, 0x9286: b"comment"})
    exif.get_ifd(0x8825).update({1: "N", 2: (1.0, 2.0, 3.0)})
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "TIFF", exif=exif, compression=compression)
    content, spans = buffer.getvalue(), []
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
    structural = {254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 338, 339}
    start = struct.unpack("<I", content[4:8])[0]
    for i in range(struct.unpack("<H", content[start : start + 2])[0]):
        at = start + 2 + 12 * i
        tag, kind, count, offset = struct.unpack("<HHII", content[at : at + 12])
        if tag not in structural:
            spans.append((at + 2, at + 12, f"field of tag {tag}", tag in (ORIENTATION, 700)))
            if (size := sizes[kind] * count) > 4:
                spans.append((offset, offset + size, f"value of tag {tag}", tag in (ORIENTATION, 700)))
    parts, position = [], 0
    for first, last, name, is_orientation in sorted(spans):

        def wrap(changed: bytes, size: int = last - first) -> bytes:
            return changed[:size].ljust(size, b"\0")

        parts += [content[position:first], Part(name, content[first:last], wrap, is_orientation)]
        position = last
    return ImageParts(f"tiff-{compression}", [*parts, content[position:]])


def make_gif() -> ImageParts:
    """Return a GIF file with a comment, plain text and application data."""

    def extension(label: int, name: str, content: bytes) -> Part:
        def wrap(changed: bytes) -> bytes:
            blocks = [changed[i : i + 255] for i in range(0, len(changed), 255)]
            return bytes([0x21, label]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"

        return Part(name, content, wrap)

    content = encode(Image.fromarray(PIXELS).convert("P"), "GIF")
    at = content.index(b"\x2c", 13 + 3 * 2 ** ((content[10] & 7) + 1))
    parts = [
        extension(0xFE, "comment", b"a comment"),
        extension(0xFF, "NETSCAPE", b"NETSCAPE2.0"),
        extension(0xFF, "XMP", b"XMP DataXMP" + XMP),
        extension(0xFF, "ICC", b"ICCRGBG1012" + b"profile"),
        extension(0x01, "plain text", b"\0" * 12),
        extension(0x77, "unknown", b"data"),
    ]
    return ImageParts("gif", [content[:at], *parts, content[at:]])


def make_found(kind: str, content: bytes, pieces: dict[str, bytes]) -> ImageParts:
    """Return a file whose metadata is searched for in its bytes, and whose changes keep its size."""
    parts: list[bytes | Part] = []
    for name, piece in sorted(pieces.items(), key=lambda item: content.index(item[1])):
        before, content = content.split(piece, 1)

        def wrap(changed: bytes, size: int = len(piece)) -> bytes:
            return changed[:size].ljust(size, b"\0")

        parts += [before, Part(name, piece, wrap, name in ("EXIF", "XMP"))]
    return ImageParts(kind, [*parts, content])


def make_files() -> list[ImageParts]:
    """Return files of all formats that can have metadata."""
    exif = make_exif(orientation=None)  # encoders rewrite EXIF that has one
    options = {"icc_profile": make_icc(), "exif": b"Exif\0\0" + exif, "xmp": XMP}
    jpeg2000 = encode(PIXELS, "JPEG2000", comment=b"a comment")
    bmp = encode(PIXELS, "BMP")
    return [
        make_jpeg(),
        make_jpeg(progressive=True),
        make_png(),
        make_webp(),
        make_tiff(),
        make_tiff("tiff_lzw"),
        make_tiff("tiff_adobe_deflate"),
        make_gif(),
        make_found("avif", encode(PIXELS, "AVIF", **options), {"ICC": make_icc(), "EXIF": exif, "XMP": XMP}),
        make_found("jpeg2000", jpeg2000, {"comment": b"a comment"}),
        make_found("bmp", bmp, {"resolution": bmp[38:46]}),
    ]
