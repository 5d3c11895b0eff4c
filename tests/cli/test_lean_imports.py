"""Imports that are deferred: nothing loads them without need, and they are complete afterwards."""

import importlib
import logging
import sys

import pytest
import torchmetrics

from classifier.cli import lean_imports
from classifier.cli.lean_imports import SIGNAL, defer_scipy_signal


@pytest.fixture
def module(monkeypatch):
    """Return the name of a small module that is deferred instead, and has not been imported yet."""
    monkeypatch.setattr(lean_imports, "SIGNAL", "wave")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    return "wave"


def test_torchmetrics_is_imported_without_scipy_signal(monkeypatch):
    monkeypatch.delitem(sys.modules, SIGNAL, raising=False)
    monkeypatch.setattr(logging.getLogger("torchmetrics"), "handlers", [])  # it adds one
    with defer_scipy_signal():
        deferred = sys.modules[SIGNAL]
        importlib.reload(torchmetrics.functional.audio)
        importlib.reload(torchmetrics)
        assert sys.modules[SIGNAL] is deferred
    assert SIGNAL not in sys.modules


def test_a_deferred_module_can_be_imported_afterwards(module):
    with defer_scipy_signal():
        assert importlib.import_module(module).hamming is None
    assert importlib.import_module(module).open


def test_another_use_of_a_deferred_module_imports_it(module):
    with defer_scipy_signal():
        deferred = importlib.import_module(module)
        assert not hasattr(deferred, "__file__")  # inspect asks every module for it
        assert sys.modules[module] is deferred
        from wave import Wave_read

        assert sys.modules[module].Wave_read is deferred.Wave_read is Wave_read
    assert sys.modules[module].Wave_read is Wave_read


def test_an_import_that_fails_leaves_nothing_behind(module):
    with pytest.raises(RuntimeError), defer_scipy_signal():
        raise RuntimeError
    assert module not in sys.modules


def test_a_module_that_is_already_imported_is_kept(module):
    imported = importlib.import_module(module)
    with defer_scipy_signal():
        assert sys.modules[module] is imported
    assert sys.modules[module] is imported
