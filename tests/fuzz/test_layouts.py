"""A short deterministic run of the fuzzer of folders and tables."""

from fuzz.layouts import fuzz


def test_random_folders_and_tables_are_read_completely_or_refused_in_one_line():
    tried, faults = fuzz(count=16, seed=0)
    assert not faults, "\n".join(faults)
    assert len(tried) == 4
