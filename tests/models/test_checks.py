"""Checks that data and weights fit a network."""

import pytest
import torch

from classifier import MLP, Digits
from classifier.errors import SettingError, UserError
from classifier.models.checks import check_weights


def test_a_network_for_another_image_shape_is_refused_with_the_call_that_fits(make_trainer):
    with pytest.raises(SettingError, match=r"make it MLP\(image_shape=\(1, 8, 8\), num_classes=10\)"):
        make_trainer().fit(MLP(), Digits())


def test_a_network_for_other_classes_is_refused(make_trainer):
    model = MLP(image_shape=(1, 8, 8), class_names=tuple("abcdefghij"))
    with pytest.raises(SettingError, match=r"was trained on the classes a, b, c.*Digits has 0, 1, 2"):
        make_trainer().test(model, Digits(), verbose=False)


def test_the_first_missing_or_misshapen_weight_is_named():
    layer = torch.nn.Linear(2, 3)
    check_weights(layer, {"weight": torch.zeros(3, 2), "bias": torch.zeros(3)})
    with pytest.raises(
        UserError, match=r"this Linear: bias has the shape None in the checkpoint and \(3,\) in the net"
    ):
        check_weights(layer, {"weight": torch.zeros(3, 2)})
    with pytest.raises(UserError, match=r"extra has the shape \(1,\) in the checkpoint and None in the network"):
        check_weights(layer, {"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "extra": torch.zeros(1)})
