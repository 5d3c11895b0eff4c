"""A short deterministic run of the fuzzer of the table of runs."""

from fuzz.run_records import fuzz


def test_table_of_damaged_runs_is_printed_and_counts_them_or_is_refused_in_one_line():
    tried, faults = fuzz(count=40, seed=0)
    assert not faults, "\n".join(faults)
    assert len(tried) > 10
