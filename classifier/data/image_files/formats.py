"""The formats of image files that can be read, and those that are recognised by their extension but cannot."""

import functools
import os

from PIL import Image

from classifier.errors import make_printable

# Formats that have a signature and are decoded by Pillow or the libraries compiled into it. Other formats of Pillow
# start a program (EPS), are decoded by the operating system (WMF) or by handlers of other packages (HDF5, GRIB), are
# decoded in Python, which takes minutes for a large image (QOI), or have no signature (TGA).
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "SGI", "TIFF", "WEBP")
HEIF = "HEIF"  # is decoded by the package pillow-heif, where it is installed
HEIF_EXTENSIONS = (".heic", ".heif", ".hif")
# MPO files, which cameras write, are JPEG files with further pictures behind the first.
OTHER_EXTENSIONS = {".mpo": "JPEG"}
RAW_EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "gpr", "iiq", "kdc", "mef", "mos", "mrw"),
        *("nef", "nrw", "orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
    )
)
# Extensions of formats that Pillow does not know; it knows those of EPS, PSD, TGA and others.
UNREADABLE = {
    ".ai": "AI",
    ".dcm": "DICOM",
    ".exr": "EXR",
    ".hdr": "HDR",
    ".heics": "HEIC sequence",
    ".heifs": "HEIF sequence",
    ".jls": "JPEG-LS",
    ".jxl": "JPEG XL",
    ".jxr": "JPEG XR",
    ".psb": "PSB",
    ".svg": "SVG",
    ".svgz": "SVG",
    ".wdp": "JPEG XR",
    ".xcf": "XCF",
    **dict.fromkeys(RAW_EXTENSIONS, "raw camera"),
}


@functools.cache
def get_formats() -> tuple[str, ...]:
    """Return the names of the formats that can be read: those `FORMATS` that Pillow supports, and HEIF."""
    Image.init()
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:  # the package is optional
        pass
    return tuple(name for name in (*FORMATS, HEIF) if name in Image.OPEN)


@functools.cache
def get_extensions() -> frozenset[str]:
    """Return the extensions of the formats that can be read, in lower case and with the dot."""
    formats = get_formats()
    known = {**Image.EXTENSION, **dict.fromkeys(HEIF_EXTENSIONS, HEIF), **OTHER_EXTENSIONS}
    return frozenset(extension for extension, name in known.items() if name in formats)


def describe_missing_decoder(path: str | os.PathLike[str]) -> str | None:
    """Return why an image file cannot be read, judged by its extension alone, or None if it may be readable.

    Args:
        path: The file, which need not exist.

    Returns:
        A short reason that says what to do, such as 'HEIC files need pip install "classifier[heif]"'. None for the
        extensions of readable formats, and for those that no format of images has.
    """
    extension = os.path.splitext(make_printable(path))[1].lower()  # noqa: PTH122 a Path costs 5 times the time
    if extension in get_extensions():
        return None
    if extension in HEIF_EXTENSIONS:
        return 'HEIC files need pip install "classifier[heif]"'
    name = UNREADABLE.get(extension) or Image.EXTENSION.get(extension)
    return f"{name} files are not read; convert them to PNG" if name else None
