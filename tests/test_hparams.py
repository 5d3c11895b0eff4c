"""Limits, choices and signatures of hyperparameters."""

import inspect
import sys

import pytest

from classifier import CNN, MLP, Airbench, Digits
from classifier.hparams import shorten

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


@pytest.mark.parametrize(
    ("network", "arguments", "message"),
    [
        (MLP, {"lr": float("inf")}, "lr must be a finite number, not inf"),
        (MLP, {"lr": 1e39}, r"lr must be a finite number, not 1e\+39"),
        (MLP, {"weight_decay": 10**400}, "weight_decay must be a finite number, not 1000"),
        (MLP, {"mean": (float("nan"),)}, r"mean must be finite numbers, not \(nan,\)"),
        (MLP, {"hidden_sizes": (8, 10**9)}, "hidden_sizes must be at most 1,000,000, not 1000000000"),
        (MLP, {"hidden_sizes": (1,) * 1001}, "hidden_sizes has more than 1000 numbers"),
        (MLP, {"num_classes": 10**6}, "num_classes must be at most 100,000, not 1000000"),
        (
            CNN,
            {"image_shape": (3, 10**6, 10**6)},
            r"image_shape must be .* with a product of at most 10\^8, not \(3, 10",
        ),
        (Airbench, {"widths": (1, 1, 10**9)}, "widths must be at most 100,000, not 1000000000"),
        (Digits, {"batch_size": 10**22}, r"batch_size must be at most 10,000,000, not 10000000000000000000000$"),
        (Digits, {"root": "s3://bucket/x"}, "root must be a local path, not s3://bucket/x"),
        (Digits, {"root": "a\0b"}, "root must be a local path, not a\0b"),
    ],
)
def test_number_too_large_and_place_that_is_not_local_are_refused(network, arguments, message):
    with pytest.raises(ValueError, match=message):
        network(**arguments)


def test_limits_of_the_base_class_apply_to_the_arguments_of_a_subclass():
    class Small(MLP):
        largest = {"width": 5}  # noqa: RUF012

        def __init__(self, width: int = 1, **kwargs) -> None:
            super().__init__(**kwargs)

    assert Small(width=5, hidden_sizes=(6,)).hparams.width == 5
    with pytest.raises(ValueError, match="width must be at most 5, not 6"):
        Small(width=6)
    with pytest.raises(ValueError, match="hidden_sizes must be at most 1,000,000"):
        Small(hidden_sizes=(10**7,))


def test_long_value_is_shortened_in_an_error_message():
    assert shorten("x" * 81) == "x" * 77 + "..."
    assert shorten("x" * 80) == "x" * 80


def test_argument_of_no_class_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'learning_rate'"):
        MLP(learning_rate=0.1)
