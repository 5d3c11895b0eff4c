"""The settings in TensorBoard's HPARAMS tab."""

import lightning as L
from helpers.runs import read_events
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.plugins.hparams import plugin_data_pb2

from classifier import MLP, Digits, TensorBoardReporter
from classifier.callbacks.layout import list_settings

MLP_ARGS = {"image_shape": (1, 8, 8), "lr": 0.1}


def test_settings_that_matter_and_those_that_differ_from_their_default_are_listed(make_trainer):
    L.seed_everything(3)
    trainer = make_trainer(2)
    trainer.datamodule = Digits(batch_size=32, shift=2)
    model = MLP(**MLP_ARGS, hidden_sizes=(5,), label_smoothing=0.0)
    assert list_settings(trainer, model) == {
        "model": "MLP",
        "data": "Digits",
        "lr": 0.1,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "hidden_sizes": "(5,)",
        "batch_size": 32,
        "shift": 2,
        "seed": 3,
        "max_epochs": 2,
    }


def test_first_settings_by_name_are_those_that_matter_whose_columns_tensorboard_shows(make_trainer):
    trainer = make_trainer(2)
    trainer.datamodule = Digits()
    assert sorted(list_settings(trainer, MLP(**MLP_ARGS)))[:5] == ["batch_size", "data", "lr", "max_epochs", "model"]


def test_settings_are_written_to_tensorboard(train, tmp_path):
    logger = TensorBoardLogger(tmp_path, default_hp_metric=False)
    trainer = train(1, logger=logger, callbacks=[TensorBoardReporter(pictures=False)])
    content = read_events(trainer.log_dir).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    written = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert (written["model"].string_value, written["lr"].number_value) == ("MLP", 0.1)
