"""A short deterministic run of the fuzzer of pages."""

from fuzz.pages import fuzz


def test_names_do_not_change_the_structure_of_a_page():
    tried, faults = fuzz(count=2, seed=1)
    assert not faults, "\n".join(faults)
    assert tried.total() == 2
