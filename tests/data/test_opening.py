"""Opening of regular files only."""

import os
import socket

import pytest

from classifier.data.opening import open_regular_file
from classifier.errors import make_printable


def test_a_regular_file_is_opened_also_through_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        with open_regular_file(tmp_path / name, max_bytes=7) as file:
            assert file.read() == b"content"


def test_pipes_sockets_devices_and_folders_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)
        server.bind("socket")
        for path in (tmp_path / "pipe", tmp_path / "link", tmp_path / "socket", "/dev/zero", "/dev/tty"):
            with pytest.raises(OSError, match="it is not a regular file"):
                open_regular_file(path, max_bytes=100)
    with pytest.raises(OSError, match="it is a folder"):
        open_regular_file(tmp_path, max_bytes=100)


def test_a_link_is_refused_where_links_are_not_followed(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="it is not a regular file"):
        open_regular_file(tmp_path / "link", max_bytes=100, follow_links=False)


def test_a_file_above_the_limit_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(OSError, match=r"its size of 1,000,000,000,000 bytes is above the limit of 1,000"):
        open_regular_file(tmp_path / "sparse", max_bytes=1000)


def test_characters_of_a_path_that_cannot_be_printed_are_replaced():
    assert make_printable("a\nb\0c\x1b\udcff/ä.png") == "a?b?c??/ä.png"
