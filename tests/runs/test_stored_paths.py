"""Paths outside the current folder that a checkpoint sets are printed before they are read."""

from pathlib import Path

import pytest
import torch
from helpers.runs import FIT_DIGITS

from classifier.runs.stored_paths import is_outside, list_outside_paths


@pytest.mark.parametrize(
    ("path", "outside"),
    [
        *[("data", False), ("data/photos", False), ("./data", False), ("a/../b", False), ("DEFAULT", False)],
        *[("/etc", True), ("..", True), ("../x", True), ("a/../../x", True), ("~/x", True), ("https://a.b/c", True)],
        *[("", False), ("hello world", False)],
    ],
)
def test_path_is_outside_if_it_leaves_the_current_folder(path, outside):
    assert is_outside(path) == outside


def test_absolute_path_of_the_current_folder_is_not_outside():
    assert not is_outside(str(Path("data").absolute()))


def test_paths_in_lists_are_found():
    settings = {"data": {"init_args": {"roots": ("a", "/etc"), "batch_size": 4}}, "model": {"init_args": {"lr": 0.1}}}
    assert list(list_outside_paths(settings)) == [("data", "roots", "/etc")]


def test_path_from_a_checkpoint_is_printed_unless_the_command_line_sets_it(run):
    run(*FIT_DIGITS, "--trainer.max_epochs=1")
    file = Path("lightning_logs/version_0/checkpoints/last.ckpt")
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["datamodule_hyper_parameters"]["root"] = "/etc"
    torch.save(checkpoint, file)
    line = "the checkpoint sets data.root to /etc, which is outside the current folder\n"
    for arguments in (("test", "--ckpt_path=last"), ("export", "--output=x.pth")):
        lines = run(*arguments)
        assert lines.startswith(f"checkpoint: {file}\n{line}")
        assert lines.count("outside") == 1
    assert "outside" not in run("test", "--ckpt_path=last", "--data.root=/etc")
    assert "outside" not in run("test", "--ckpt_path=last", "--data.init_args.root", "elsewhere")
    assert line in run("fit", "--ckpt_path=last", "--trainer.max_epochs=2")
