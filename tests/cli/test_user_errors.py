"""Errors of libraries that a user can fix: no memory, rejected settings and failing callbacks."""

import numpy as np
import pytest
import torch
from helpers.runs import FIT_DIGITS
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from classifier.cli.user_errors import find_user_error
from classifier.errors import SettingError, UserError

ONE_EPOCH = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=1")


def raise_error(function, *args, **options) -> Exception:
    """Return the exception that a function raises."""
    try:
        function(*args, **options)
    except Exception as error:
        return error
    raise AssertionError("no error")


@pytest.mark.parametrize("allocate", [lambda: torch.empty(10**15), lambda: np.empty(10**15), lambda: [0] * 10**15])
def test_lack_of_memory_is_reported_with_advice(allocate):
    found = find_user_error(raise_error(allocate))
    assert type(found) is UserError
    assert "not enough memory (" in str(found)
    assert str(found).endswith("use a smaller network, smaller images or a smaller batch_size")


def test_network_too_large_for_the_memory_is_refused(fail):
    status, line = fail(*ONE_EPOCH, "--model.hidden_sizes=[1000000,1000000]")
    assert (status, "not enough memory (you tried to allocate 4000000000000 bytes" in line) == (1, True), line


def test_error_that_lightning_raises_on_purpose_is_about_a_setting_and_any_other_is_a_bug():
    found = find_user_error(raise_error(ModelCheckpoint, every_n_train_steps=-1))
    assert type(found) is SettingError
    assert find_user_error(raise_error(ModelCheckpoint, every_n_train_steps="x")) is None
    assert find_user_error(raise_error(int, "x")) is None


def test_error_of_this_package_is_preferred_to_the_error_of_lightning_that_wraps_it():
    outer, inner = raise_error(ModelCheckpoint, every_n_train_steps=-1), SettingError("a value is wrong")
    outer.__cause__ = inner
    assert find_user_error(outer) is inner


def test_callback_of_lightning_that_fails_is_one_line_and_leaves_no_run(fail, tmp_path):
    status, line = fail(*ONE_EPOCH, "--trainer.callbacks=BackboneFinetuning")
    message = "BackboneFinetuning.freeze_before_training failed: AttributeError: 'MLP' object has no attribute"
    assert (status, message in line) == (2, True), line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("--trainer.callbacks=EMAWeightAveraging", "--trainer.callbacks.device=x"),
            "EMAWeightAveraging cannot be built: RuntimeError: Expected one of cpu, cuda",
        ),
        (
            ("--data=ImageFolder", f"--data.root={'x' * 4000}"),
            "a part of the configuration cannot be built: [Errno 36] File name too long",
        ),
    ],
)
def test_part_that_cannot_be_built_is_one_line(fail, options, reason):
    status, line = fail(*ONE_EPOCH, *options)
    assert (status, reason in line) == (2, True), line
    assert len(line) < 700


class Broken(Callback):
    """A callback with a bug."""

    def on_fit_start(self, trainer, pl_module):
        raise AttributeError("a bug")


def test_callback_of_the_user_that_fails_shows_its_traceback(run):
    name = f"{Broken.__module__}.Broken"
    with pytest.raises(AttributeError, match="a bug"):
        run(*ONE_EPOCH, f"--trainer.callbacks={name}", f"--allow_import={name.partition('.')[0]}")


def test_metric_that_a_callback_waits_for_in_vain_is_one_line(fail):
    status, line = fail(*ONE_EPOCH, "--trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor=acuracy")
    assert (status, "EarlyStopping monitors acuracy, which this run does not have" in line) == (2, True)
