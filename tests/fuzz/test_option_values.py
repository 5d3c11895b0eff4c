"""A short, fixed part of the fuzzer of option values."""

import pytest
from fuzz.option_values import Case, find_fault, make_random_cases, run_cases


def test_random_values_of_random_options_are_run_or_refused_in_one_line(capsys):
    assert run_cases(make_random_cases(count=5, seed=0)) == (5, 0), capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "printed", "errors", "has_new_run", "fault"),
    [
        (0, "epoch 1/1  train loss 2", "", True, None),
        (0, "", "", True, "trained nothing, and did not say so"),
        (2, "", "error: x\n", False, None),
        (2, "", "Traceback:\nerror: x\n", False, "2 lines of error: Traceback: | error: x"),
        (2, "", "error: x\n", True, "a refused command left a run's folder"),
        ("TypeError: x", "", "", False, "ended with TypeError: x"),
        ("timeout", "", "", False, "no result within 10 seconds"),
        ("timeout", "epoch 1  train loss 2", "", True, None),
    ],
)
def test_fault_is_found(status, printed, errors, has_new_run, fault):
    case = Case("fit", "trainer.max_epochs", 1, (), trains=True)
    assert find_fault(case, status, printed, errors, has_new_run) == fault
