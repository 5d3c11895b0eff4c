"""Private names of other packages that this one uses, in one list; each has a test that fails when the name goes."""

import argparse
import ast
import re
from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import nn

import classifier
from classifier import MLP, Digits, Lookahead
from classifier.cli.lightning_parser import LightningParser
from classifier.cli.profiling import LazyRecordFunction

ROOT = Path(classifier.__file__).parent
# As seen in lightning 2.6.6, torch 2.14 and jsonargparse 4.53.
ALLOWED = {
    ("callbacks/averaging.py", "_average_model"),  # lightning: WeightAveraging
    ("callbacks/loop_state.py", "_batches_that_stepped"),  # lightning: key in the loop state of its checkpoints
    ("cli/lightning_parser.py", "_actions"),  # argparse, below jsonargparse
    ("cli/profiling.py", "_is_profiler_enabled"),  # torch: torch.autograd.profiler
    ("models/base.py", "_current_fx_name"),  # lightning: LightningModule
}
DOCUMENTED = {"_exit", "_replace"}  # of os and of named tuples, in the documentation of Python
PRIVATE = re.compile(r"_[a-zA-Z]\w*")


def list_definitions(tree: ast.AST) -> set[str]:
    """Return the private names that a module defines: functions, classes, variables and attributes of `self`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id == "self" else set()
    return {name for name in names if PRIVATE.fullmatch(name)}


def list_private_names(tree: ast.AST) -> set[str]:
    """Return the private names that a module reads as attributes, imports, or spells in a string of its code."""
    names = set()
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            names.add(node.value)
        elif isinstance(node, ast.Import):
            names |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            names |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    return {name for name in names if PRIVATE.fullmatch(name)}


def test_no_other_private_name_of_another_package_is_used():
    trees = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}
    used = {(file, name) for file, tree in trees.items() for name in list_private_names(tree) - list_definitions(tree)}
    assert {(file, name) for file, name in used if name not in DOCUMENTED} == ALLOWED


def test_private_names_of_a_module_are_found():
    source = (
        "from c._d import _e\n"
        "class A:\n"
        "  def _own(self):\n"
        "    self._mine = x._a\n"
        "    x._g = getattr(x, '_b')\n"
        "    return self._own(), self._mine, f'{x}_f', '_ no name'\n"
    )
    tree = ast.parse(source)
    assert list_private_names(tree) - list_definitions(tree) == {"_a", "_b", "_d", "_e", "_g"}


def test_lightning_stores_the_name_of_the_running_hook_in_current_fx_name():
    """Without it, ImageClassifier sets that name through `Module.__setattr__` again, which takes 4 % of a step."""
    module, hooks = MLP(image_shape=(1, 8, 8)), []

    class Spy(Callback):
        def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: object) -> None:
            hooks.append(vars(pl_module)["_current_fx_name"])

    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "limit_val_batches": 0}
    L.Trainer(max_steps=1, accelerator="cpu", callbacks=[Spy()], enable_model_summary=False, **options).fit(
        module, Digits()
    )
    assert hooks == ["on_train_batch_start"], "LightningModule._current_fx_name is gone: remove __setattr__"


def test_name_of_the_running_hook_is_stored_directly_and_layers_are_still_registered(monkeypatch):
    module, extra, names, register = MLP(), nn.Linear(1, 1), [], nn.Module.__setattr__
    monkeypatch.setattr(nn.Module, "__setattr__", lambda *args: names.append(args[1]) or register(*args))
    module._current_fx_name, module.extra = "training_step", extra
    assert names == ["extra"]
    assert module._current_fx_name == "training_step"
    assert "extra" in dict(module.named_children())


def test_lightning_keeps_the_average_of_the_weights_in_average_model(make_trainer):
    """Without it, Lookahead cannot start its average from the weights that `setup` has set."""
    averages = []

    class Spy(Callback):
        def on_train_batch_start(self, trainer: L.Trainer, *args: object) -> None:
            callback = next(callback for callback in trainer.callbacks if isinstance(callback, Lookahead))
            averages.append(callback._average_model)

    model = MLP(image_shape=(1, 8, 8), lookahead=1)
    make_trainer(1, callbacks=[Spy()], limit_train_batches=1, limit_val_batches=0).fit(model, Digits())
    assert issubclass(Lookahead, WeightAveraging)
    assert isinstance(averages[0], torch.optim.swa_utils.AveragedModel), "WeightAveraging._average_model is gone"
    assert averages[0].n_averaged >= 1, "AveragedModel no longer counts the updates of the average"


def test_pytorch_tells_whether_a_profiler_runs_in_is_profiler_enabled():
    """Without it, labels for the profiler are recorded in every step again, which takes 5 % of a step."""
    states = [torch.autograd.profiler._is_profiler_enabled]
    with torch.profiler.profile():
        states.append(torch.autograd.profiler._is_profiler_enabled)
        with LazyRecordFunction("label") as label:
            states.append(label.is_recording)
    with LazyRecordFunction("label") as label:
        states.append(label.is_recording)
    assert states == [False, True, True, False], "torch.autograd.profiler._is_profiler_enabled is gone or has changed"


def test_missing_flag_of_the_profiler_makes_labels_recorded(monkeypatch):
    monkeypatch.delattr(torch.autograd.profiler, "_is_profiler_enabled")
    with LazyRecordFunction("label") as label:
        assert label.is_recording


def test_lightning_stores_the_position_of_values_logged_in_a_step_in_batches_that_stepped(make_trainer, tmp_path):
    """Without it, a resumed run logs values of a step at the wrong position on the x axis."""
    trainer = make_trainer(1, limit_train_batches=3, limit_val_batches=0)
    trainer.fit(MLP(image_shape=(1, 8, 8)), Digits())
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    loop = torch.load(tmp_path / "one.ckpt", weights_only=True)["loops"]["fit_loop"]
    assert loop["epoch_loop.state_dict"]["_batches_that_stepped"] == 3, "_batches_that_stepped is gone or has changed"


def test_argparse_lists_the_options_of_a_parser_in_actions():
    """Without it, `fit --help` cannot leave out the rare options of the Trainer."""
    parser = LightningParser()
    parser.add_argument("--trainer.max_epochs", help="common")
    rare = parser.add_argument("--trainer.barebones", help="rare")
    assert rare in parser._actions, "argparse.ArgumentParser._actions is gone"
    assert all(isinstance(action, argparse.Action) for action in parser._actions)
    text = parser.format_help()
    assert ("--trainer.max_epochs" in text, "--trainer.barebones" in text) == (True, False)
    assert rare.help == "rare"


@pytest.mark.parametrize("name", sorted({name for _, name in ALLOWED}))
def test_every_private_name_has_a_test_here(name):
    tests = [node for node in ast.parse(Path(__file__).read_text()).body if isinstance(node, ast.FunctionDef)]
    assert [test for test in tests if name.strip("_") in test.name]
