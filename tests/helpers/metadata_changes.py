"""Image files in parts, and changes to their metadata that leave the pixels intact."""

import random
from collections.abc import Callable
from typing import NamedTuple


class Part(NamedTuple):
    """A piece of metadata in a file.

    Args:
        name: What it is, for messages.
        content: Its bytes.
        wrap: Function that returns the bytes in the file for a changed content.
        is_orientation: Whether it may contain the orientation of the image.
    """

    name: str
    content: bytes
    wrap: Callable[[bytes], bytes]
    is_orientation: bool = False


class ImageParts(NamedTuple):
    """A file as a list of its bytes and its pieces of metadata."""

    kind: str
    parts: list[bytes | Part]

    def join(self, changed: dict[int, bytes] | None = None) -> bytes:
        """Return the file, with some of its pieces of metadata replaced."""
        changed = changed or {}
        return b"".join(
            part if isinstance(part, bytes) else part.wrap(changed.get(index, part.content))
            for index, part in enumerate(self.parts)
        )

    def list_metadata(self) -> list[int]:
        """Return the indices of the pieces of metadata."""
        return [index for index, part in enumerate(self.parts) if isinstance(part, Part)]


def change_metadata(image: ImageParts, chosen: random.Random) -> tuple[bytes, list[Part]]:
    """Return a file with one to three of its pieces of metadata changed, and these pieces."""
    indices = chosen.sample(image.list_metadata(), min(len(image.list_metadata()), chosen.choice((1, 1, 2, 3))))
    changed = {index: change_piece(image.parts[index].content, chosen) for index in indices}
    return image.join(changed), [image.parts[index] for index in indices]


def change_piece(content: bytes, chosen: random.Random) -> bytes:
    """Return a piece of metadata with random changes."""
    data, kind = bytearray(content), chosen.randrange(7)
    if kind == 0:
        return b""
    if kind == 1:
        return bytes(data[: chosen.randrange(len(data) + 1)])
    if kind == 2:
        return chosen.randbytes(chosen.choice((1, 4, len(data), 3000)))
    if kind == 3:
        return bytes(data) * chosen.choice((2, 200))
    for _ in range(chosen.choice((1, 1, 2, 8))):
        at = chosen.randrange(len(data) or 1)
        if kind == 4:
            data[at : at + 1] = bytes([chosen.choice((0, 1, 0x7F, 0x80, 0xFF))])
        elif kind == 5:
            data[at : at + 1] = chosen.randbytes(1)
        else:
            size = chosen.choice((2, 4))
            value = chosen.choice((0, 1, 2, 13, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1))
            data[at : at + size] = (value % 2 ** (8 * size)).to_bytes(size, chosen.choice(("big", "little")))
    return bytes(data)
