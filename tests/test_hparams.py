"""Limits, choices and signatures of hyperparameters."""

import inspect
import sys

import pytest

from classifier import CNN, MLP

MODULE = """
from __future__ import annotations
from typing import TYPE_CHECKING
from classifier import MLP
if TYPE_CHECKING:
    from collections.abc import Sequence

class Annotated(MLP):
    def __init__(self, names: Sequence[str] = (), **kwargs) -> None:
        super().__init__(**kwargs)
"""


def test_signature_of_a_network_lists_its_own_arguments_first_and_then_those_of_the_base_class():
    parameters = list(inspect.signature(CNN).parameters)
    assert parameters[:3] == ["image_shape", "lr", "momentum"]
    assert set(parameters) >= {"num_classes", "weight_decay", "tta", "class_names"}
    assert inspect.signature(CNN).parameters["lr"].default == 0.001
    assert "kwargs" not in parameters
    assert len(parameters) == len(set(parameters))


def test_network_with_an_annotation_for_type_checkers_only_can_be_built(tmp_path, monkeypatch):
    (tmp_path / "annotated_network.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    from annotated_network import Annotated

    del sys.modules["annotated_network"]
    assert Annotated(names=("a",)).hparams.names == ("a",)
    with pytest.raises(ValueError, match="lr must be above 0, not -1"):
        Annotated(lr=-1)


def test_argument_of_no_class_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'learning_rate'"):
        MLP(learning_rate=0.1)
