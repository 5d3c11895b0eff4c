"""Metrics that a network logs itself: in the line of the epoch, in `results.json`, and after `test`."""

import json
import math
from pathlib import Path

import pytest
import torch

from classifier import MLP, Digits
from classifier.callbacks.own_metrics import OwnMetrics, format_metrics
from classifier.errors import SettingError


class Logging(MLP):
    """An MLP that logs metrics in every hook in which it can."""

    def __init__(self, **kwargs) -> None:
        super().__init__(image_shape=(1, 8, 8), lr=0.1, **kwargs)
        self.epoch_values: list[float] = []

    def training_step(self, batch, batch_idx):
        self.log("margin/train", float(batch_idx), on_step=False, on_epoch=True, batch_size=1)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        super().validation_step(batch, batch_idx, dataloader_idx)
        self.log("images", float(len(batch[0])), reduce_fx="sum")

    def on_validation_epoch_end(self):
        counts = self.test_metrics.compute()["confusion_matrix"]
        self.log("f1/test", (2 * counts.diag() / (counts.sum(0) + counts.sum(1))).mean())
        self.log("odd", math.nan if self.current_epoch == 1 else 0.5)

    def on_test_epoch_end(self):
        self.log("f1/test", 0.125)


def train_and_read(train, model, **options):
    """Return the Trainer and the epochs in its `results.json`."""
    trainer = train(2, Digits(val_split=200), model, **options)
    return trainer, json.loads(Path(trainer.log_dir, "results.json").read_text())["epochs"]


def test_metrics_of_all_hooks_are_recorded_and_printed_with_those_of_their_split(train, capsys):
    trainer, epochs = train_and_read(train, Logging())
    module = trainer.lightning_module
    counts = module.test_metrics.compute()["confusion_matrix"]
    f1 = (2 * counts.diag() / (counts.sum(0) + counts.sum(1))).mean().item()
    assert epochs[1]["f1/test"] == pytest.approx(f1, rel=1e-6)
    assert (epochs[1]["images/val"], epochs[1]["images/test"]) == (200, 360)
    assert epochs[1]["margin/train"] == sum(range(20)) / 20
    assert (epochs[0]["odd"], epochs[1]["odd"]) == (0.5, None)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert f"accuracy {epochs[1]['accuracy/val']:.1%} images 200  test loss" in lines[1]
    assert f"accuracy {epochs[1]['accuracy/test']:.1%} images 360 f1 {f1:.4g}  odd nan  " in lines[1]
    assert " margin 9.5  val loss" in lines[1]

    trainer.test(module, trainer.datamodule, verbose=False)
    assert " f1 0.125 (360 images)" in capsys.readouterr().out


def test_metric_is_recorded_only_in_epochs_in_which_it_is_logged(train):
    epochs = train_and_read(train, Logging(), check_val_every_n_epoch=2)[1]
    assert [epoch.get("f1/test") is not None for epoch in epochs] == [False, True]
    assert [epoch["margin/train"] for epoch in epochs] == [9.5, 9.5]


@pytest.mark.parametrize("name", ["accuracy/test", "loss/train", "lr", "epoch", "accuracy/val_by_step"])
def test_name_of_a_metric_of_every_network_is_refused(train, name):
    class Colliding(MLP):
        def training_step(self, batch, batch_idx):
            self.log(name, 1.0)
            return super().training_step(batch, batch_idx)

    with pytest.raises(SettingError, match=f"^Colliding logs {name}, but that is the name of a value that every run"):
        train(1, model=Colliding(image_shape=(1, 8, 8)))


def test_metric_that_is_logged_too_late_is_reported_once(train):
    class Late(MLP):
        def on_train_epoch_end(self):
            self.log("late", 1.0)

    with pytest.warns(UserWarning, match="Late logs late when the epoch is recorded already") as warnings:
        _, epochs = train_and_read(train, Late(image_shape=(1, 8, 8)))
    assert len([warning for warning in warnings if "Late logs" in str(warning.message)]) == 1
    assert not any("late" in epoch for epoch in epochs)


def test_only_logged_names_are_collected_and_the_number_of_a_loader_becomes_its_split():
    metrics = OwnMetrics()
    metrics.add("f1", "Net")
    logged = {"f1/dataloader_idx_0": torch.tensor(0.5), "f1/dataloader_idx_7": torch.tensor(1), "old": torch.tensor(2)}
    assert metrics.collect(logged, ["test"]) == {"f1/test": 0.5, "f1/dataloader_idx_7": 1}
    metrics.start()
    assert metrics.collect(logged, ["test"]) == {}


def test_metrics_without_a_split_are_formatted_by_their_whole_name():
    values = {"f1/test": 0.123456, "f1/val": 2.0, "a/b": 3e-9, "test": 1.0}
    assert (format_metrics(values, "test"), format_metrics(values, "train")) == (" f1 0.1235", "")
    assert format_metrics(values, None) == " a/b 3e-09 test 1"
