"""Checks that data and weights fit a network."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from classifier import MLP, Digits
from classifier.errors import SettingError, UserError
from classifier.models.checks import check_data, check_stored_network, check_weights


def test_a_network_for_another_image_shape_is_refused_with_the_call_that_fits(make_trainer):
    with pytest.raises(SettingError, match=r"make it MLP\(image_shape=\(1, 8, 8\), num_classes=10\)"):
        make_trainer().fit(MLP(), Digits())


def test_a_network_for_other_classes_is_refused(make_trainer):
    model = MLP(image_shape=(1, 8, 8), class_names=tuple("abcdefghij"))
    with pytest.raises(SettingError, match=r"was trained on the classes a, b, c.*Digits has 0, 1, 2"):
        make_trainer().test(model, Digits(), verbose=False)


def test_the_first_difference_between_many_classes_is_named():
    names = [f"class {i}" for i in range(100)]
    model = MLP(image_shape=(1, 8, 8), num_classes=100, class_names=(*names[:37], "ant", *names[38:]))
    data = SimpleNamespace(image_shape=(1, 8, 8), num_classes=100, class_names=names)
    message = "other classes than those of SimpleNamespace: class 37 is ant and not class 37"
    with pytest.raises(SettingError, match=message):
        check_data(model, data)


def test_the_first_missing_or_misshapen_weight_is_named():
    layer = torch.nn.Linear(2, 3)
    check_weights(layer, {"weight": torch.zeros(3, 2), "bias": torch.zeros(3)})
    with pytest.raises(
        UserError, match=r"this Linear: bias has the shape None in the checkpoint and \(3,\) in the net"
    ):
        check_weights(layer, {"weight": torch.zeros(3, 2)})
    with pytest.raises(UserError, match=r"extra has the shape \(1,\) in the checkpoint and None in the network"):
        check_weights(layer, {"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "extra": torch.zeros(1)})


def test_weights_of_any_float_precision_fit_and_integers_do_not():
    layer, bias = torch.nn.Linear(2, 3), torch.zeros(3)
    check_weights(layer, {"weight": torch.zeros(3, 2).double(), "bias": bias.bfloat16()})
    for dtype in (torch.int8, torch.complex64):
        with pytest.raises(UserError, match=f"weight has the type {dtype} in the checkpoint and float in the network"):
            check_weights(layer, {"weight": torch.zeros(3, 2, dtype=dtype), "bias": bias})


def test_weights_that_share_memory_to_describe_a_larger_network_than_the_file_are_refused():
    sizes = (64, *(1000,) * 10, 10)
    values = torch.zeros(10**6)
    state = {}
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        state[f"network.{2 * index + 1}.weight"] = values[: inputs * outputs].view(outputs, inputs)
        state[f"network.{2 * index + 1}.bias"] = values[:outputs]
    hparams = {"image_shape": (1, 8, 8), "hidden_sizes": sizes[1:-1]}
    check_stored_network(MLP, hparams, {name: value.clone() for name, value in state.items()})
    with pytest.raises(UserError, match="share memory"):
        check_stored_network(MLP, hparams, state)
