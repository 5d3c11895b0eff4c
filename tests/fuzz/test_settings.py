"""A short, deterministic part of the trial with random settings."""

from fuzz.settings import fuzz


def test_random_arguments_are_written_and_read_again_unchanged_or_refused(capsys):
    assert fuzz(count=10, seed=0) == 0
    assert " same" in capsys.readouterr().out  # not all of them are refused
