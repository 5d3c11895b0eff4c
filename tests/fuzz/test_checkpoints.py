"""Damaged and wrong checkpoints: a short part of the fuzzer, with a fixed seed."""

import io
import os
from pathlib import Path

import pytest
import torch
from fuzz.checkpoints import (
    WRONG,
    check_bytes,
    check_tree,
    describe,
    judge,
    load,
    make_checkpoint,
    replace_by_name,
    write,
)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Return the bytes of the checkpoint of a short run."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("run"))
    try:
        return make_checkpoint()
    finally:
        os.chdir(before)


def test_changed_bytes_are_refused_or_change_no_value(content):
    verdicts = {verdict for _, verdict in check_bytes(content, 100, seed=0)}
    assert verdicts == {"loaded", "refused"}


def test_changed_values_load_or_are_refused_in_one_line(content):
    verdicts = {verdict for _, verdict in check_tree(content, 40, seed=0, sample=0)}
    assert verdicts == {"loaded", "refused"}


def test_wrong_contents_are_refused_in_one_line(content):
    tree = torch.load(io.BytesIO(content), weights_only=True)
    verdicts = {}
    for name, value in WRONG:
        Path("wrong.ckpt").write_bytes(write(replace_by_name(tree, name, value)))
        verdicts[name, describe(value)], _ = judge(lambda: load(Path("wrong.ckpt")))
    assert {case: verdict for case, verdict in verdicts.items() if verdict != "refused"} == {}
