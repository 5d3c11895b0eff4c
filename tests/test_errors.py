"""Texts and paths in messages."""

import subprocess
from pathlib import Path

import pytest

from classifier.errors import make_printable, quote_path


def test_characters_that_cannot_be_printed_are_masked():
    assert make_printable("a\nb\x1b[31m\u202ec\udcff \xe9\U0001f47b") == "a?b?[31m?c? \xe9\U0001f47b"


@pytest.mark.parametrize(
    "name", ["plain", "two words", "it's", "$HOME", "-dash", "new\nline\\'", "esc\x1b[31m", "rtl\u202e", "bytes\udcff"]
)
def test_a_quoted_path_is_printable_and_one_word_for_a_shell(name):
    quoted = quote_path(Path(name))
    assert quoted.isprintable()
    command = ["/usr/bin/env", "bash", "-c", f"printf %s {quoted}"]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert Path(printed.decode(errors="surrogateescape")) == Path(name)
    assert not printed.startswith(b"-")
