"""`read_zip`: what is read is what was written."""

import io
import zipfile

import pytest
import torch

from classifier.errors import UserError
from classifier.files import read_zip

TENSOR = torch.arange(8.0)


def save() -> bytes:
    """Return the bytes of a small file of `torch.save`."""
    file = io.BytesIO()
    torch.save({"a": TENSOR}, file)
    return file.getvalue()


def make_zip(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    """Return a zip file with these records."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return file


def test_every_changed_byte_is_refused_or_changes_no_value():
    content, loaded = save(), 0
    start = content.index(TENSOR.numpy().tobytes())
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        try:
            copy = read_zip(io.BytesIO(changed))
        except UserError:
            continue
        assert not start <= position < start + TENSOR.nbytes
        loaded += 1
        try:
            value = torch.load(copy, weights_only=True)
        except RuntimeError:  # a record has another name
            continue
        assert torch.equal(value["a"], TENSOR)
    assert loaded > 0  # for example dates, and bytes between the records


def test_records_that_pytorch_would_not_write_are_refused():
    file = make_zip({"a/data/0": bytes(1000)})
    assert zipfile.ZipFile(read_zip(file)).read("a/data/0") == bytes(1000)
    for wrong in (make_zip({"a/data/0": bytes(1000), "a/DATA/0": b"other"}), make_zip({"a": bytes(10**6)}, 8)):
        with pytest.raises(UserError, match="compressed, repeated or overlapping records"):
            read_zip(wrong)


def test_records_that_share_their_bytes_are_refused():
    file = make_zip({f"{number}": bytes(1000) for number in range(10)})
    with zipfile.ZipFile(file, "a") as archive:
        for record in archive.infolist():
            record.header_offset = 0
        archive.writestr("last", b"")  # writes the directory again
    content = file.getvalue()
    shortened = content[:1031] + content[content.index(b"PK\x01\x02") :]
    with pytest.raises(UserError):
        read_zip(io.BytesIO(shortened))


def test_a_path_is_read_as_well_as_an_open_file(tmp_path):
    (tmp_path / "a.pt").write_bytes(save())
    with (tmp_path / "a.pt").open("rb") as file:
        assert read_zip(tmp_path / "a.pt").getvalue() == read_zip(file).getvalue()
    (tmp_path / "a.pt").write_bytes(b"text")
    with pytest.raises(UserError, match="not a zip file"):
        read_zip(tmp_path / "a.pt")
