"""A short deterministic run of the fuzzer of comparisons."""

from fuzz.comparisons import fuzz


def test_random_runs_are_compared_consistently():
    tried, faults = fuzz(count=40, seed=0)
    assert not faults, "\n".join(faults)
    assert len(tried) == 2
