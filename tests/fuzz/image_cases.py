"""Cases of the fuzzer of data files: image files that are changed anywhere, and those of which the metadata are."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_args

import torch
from helpers.metadata_changes import ImageParts, change_metadata

from classifier.data.image_files.decoding import read_image
from classifier.data.image_files.resizing import Resize
from classifier.errors import UserError


class Case(NamedTuple):
    """A file to change, and the function that reads it and returns a description of a wrong result, or None."""

    kind: str
    content: bytes
    read: Callable[[bytes], str | None]


def make_image_reader(folder: Path, kind: str) -> Callable[[bytes], str | None]:
    """Return a function that reads the contents of an image file."""
    path, shapes = folder / f"case.{kind.split('-')[0]}", ((3, 16, 16), (1, 20, 20), (3, 9, 30))

    def read(content: bytes) -> str | None:
        path.write_bytes(content)
        shape, resize = shapes[len(content) % 3], get_args(Resize)[len(content) // 3 % 3]
        image = read_image(path, shape, resize, max_value=4095 if len(content) % 5 else None)
        return None if image.shape == shape and image.dtype == torch.uint8 else f"{image.dtype} {tuple(image.shape)}"

    return read


def make_metadata_case(folder: Path, image: ImageParts, seed: int) -> Case:
    """Return an image file with metadata. Whatever its metadata are changed to, the pixels must remain the same.

    Args:
        folder: Folder for the file.
        image: The file, in parts.
        seed: Seed of the changes.
    """
    path, chosen = folder / f"metadata-{image.kind}", random.Random(seed)  # noqa: S311 no secret
    path.write_bytes(image.join())
    expected = read_image(path, (3, 24, 24))
    rotated = [torch.rot90(mirrored, turns, (1, 2)) for mirrored in (expected, expected.flip(2)) for turns in range(4)]

    def read(content: bytes) -> str | None:
        changed_parts = []
        if content != image.join():  # the change is made here instead, because it must not touch the pixels
            content, changed_parts = change_metadata(image, chosen)
        path.write_bytes(content)
        try:
            found = read_image(path, (3, 24, 24))
        except UserError as error:
            return f"changed metadata {[part.name for part in changed_parts]} reject the pixels: {error}"
        allowed = rotated if any(part.is_orientation for part in changed_parts) else [expected]
        return None if any(torch.equal(found, other) for other in allowed) else "changed metadata change the pixels"

    return Case(f"metadata-{image.kind}", image.join(), read)
