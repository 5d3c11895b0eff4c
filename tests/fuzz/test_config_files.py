"""A short, deterministic part of the fuzzer of configuration files."""

import warnings

from fuzz.config_files import fuzz


def test_mutated_configuration_is_accepted_or_refused_in_one_line_and_runs_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert fuzz(count=20, seed=0) == []
