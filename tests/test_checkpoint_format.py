"""The description of a checkpoint, and what it refuses."""

import pytest
import torch

from classifier.checkpoint_format import ANY, COUNT, TEXT, check_value, is_weight, read_checkpoint
from classifier.errors import UserError

GOOD = {"classes": {"model": "classifier.MLP"}, "hyper_parameters": {}, "state_dict": {}, "epoch": 0}
GOOD["pytorch-lightning_version"] = "2.6.6"


def read(**changes):
    """Write a checkpoint in which some keys are changed, and read it."""
    torch.save({**GOOD, **changes}, "a.ckpt")
    return read_checkpoint("a.ckpt")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "it is not a table with names as keys"),
        ({1: 2}, "it is not a table with names as keys"),
        ({}, "it has no count"),
        ({"count": "1"}, "it.count is not a count"),
        ({"count": 1, "names": "x"}, "it.names is not a list"),
        ({"count": 1, "names": ["x", 5]}, r"it.names\[1\] is not a string"),
        ({"count": 1, "other": 5}, "it.other is not a string"),
    ],
    ids=str,
)
def test_first_value_that_does_not_match_a_description_is_named(value, message):
    description = {"count!": COUNT, "names": [TEXT], ANY: TEXT}
    check_value({"count": 1, "names": ["x"], "other": "y"}, description, "it")
    with pytest.raises(UserError, match=f"^{message}$"):
        check_value(value, description, "it")


def test_keys_of_lightning_and_of_users_may_hold_anything():
    extra = {"progress": {"steps": 5}, "sampler": [{"position": torch.zeros(2)}]}
    callbacks = {"Theirs": {"queue": [{"logits": torch.zeros(2, 3)}]}, "Own": {1: (2, None)}}
    checkpoint = read(**extra, callbacks=callbacks)
    assert checkpoint["progress"] == {"steps": 5}
    assert checkpoint["callbacks"]["Own"] == {1: (2, None)}


def test_version_of_lightning_is_one_whose_checkpoints_this_lightning_reads():
    for right in ("2.6.0", "2.7.0.dev20260101", "3.0rc1"):
        assert read(**{"pytorch-lightning_version": right})["pytorch-lightning_version"] == right
    for wrong in (2.6, None, "1.9.0", "new", "2.6.0+?"):
        with pytest.raises(UserError, match=r"is not a version of Lightning from 2\.0 on"):
            read(**{"pytorch-lightning_version": wrong})


def test_tables_that_would_take_hours_to_process_are_refused(monkeypatch):
    monkeypatch.setattr("classifier.checkpoint_format.MAX_VALUES", 20_000)
    doubled, deep, cycle = [1], [1], {}
    for _ in range(40):
        doubled = [doubled, doubled]
    for _ in range(60):
        deep = [deep]
    cycle["itself"] = cycle
    for value in (doubled, deep, cycle):
        with pytest.raises(UserError, match=r"more than 20,000 values, or tables nested more than 50 deep"):
            read(extra=value)


def test_only_dense_tensors_of_numbers_with_all_elements_in_the_file_are_weights():
    assert all(is_weight(torch.zeros(2, 3, dtype=dtype)) for dtype in (torch.float32, torch.bfloat16, torch.int64))
    assert is_weight(torch.nn.Parameter(torch.zeros(2, 3).T))
    wrong = (torch.zeros(1).expand(10**9), torch.zeros(2, device="meta"), torch.zeros(2).to_sparse())
    assert not any(map(is_weight, (*wrong, torch.zeros(2, dtype=torch.float8_e5m2), [0.0], None)))
