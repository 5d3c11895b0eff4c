"""Checkpoints that rebuild their network without further arguments."""

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from classifier import MLP, Digits
from classifier.models.checkpoint_hooks import FORMAT_VERSION


@pytest.fixture
def save_checkpoint(tmp_path, make_trainer):
    """Return a function that trains for two epochs on digits, and returns the network and its checkpoint."""

    def save(**options):
        L.seed_everything(0)
        model = MLP(image_shape=(1, 8, 8), lr=0.1, momentum=0.9, hidden_sizes=(16,), **options)
        saver = ModelCheckpoint(tmp_path, save_last=True, save_on_train_epoch_end=True)
        make_trainer(max_epochs=2, enable_checkpointing=True, callbacks=[saver]).fit(model, Digits())
        return model, tmp_path / "last.ckpt"

    return save


def test_a_checkpoint_gives_the_same_logits_without_further_arguments_and_without_running_code(save_checkpoint):
    model, path = save_checkpoint()
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["classes"] == {"model": "classifier.MLP", "data": "classifier.Digits"}
    assert (checkpoint["format_version"], checkpoint["dark_background"]) == (FORMAT_VERSION, True)
    off = ("nesterov", "label_smoothing", "lr_schedule", "lr_warmup", "lr_start", "lr_end", "ema_decay", "lookahead")
    defaults = {name: MLP().hparams[name] for name in (*off, "tta", "channels_last")}
    assert checkpoint["hyper_parameters"] == {
        **defaults,
        "image_shape": (1, 8, 8),
        "num_classes": 10,
        "hidden_sizes": (16,),
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "mean": (0.0,),
        "std": (1.0,),
        "class_names": tuple("0123456789"),
    }
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(MLP.load_from_checkpoint(path)(images), model(images))


def test_a_normalisation_given_as_an_argument_takes_precedence_over_that_of_the_data(save_checkpoint):
    model, path = save_checkpoint(mean=(0.25,))
    images = torch.rand(5, 1, 8, 8)
    assert torch.equal(model(images), model.network(images - 0.25))
    assert torch.equal(MLP.load_from_checkpoint(path)(images), model(images))


def test_hyperparameters_given_to_a_resumed_run_take_precedence_over_the_stored_optimizer(
    save_checkpoint, make_trainer
):
    _, path = save_checkpoint()
    trainer = make_trainer(max_epochs=3)
    model = MLP(image_shape=(1, 8, 8), lr=0.5, momentum=0.0, hidden_sizes=(16,))
    trainer.fit(model, Digits(), ckpt_path=path, weights_only=True)
    group = trainer.optimizers[0].param_groups[0]
    assert (group["lr"], group["momentum"]) == (0.5, 0.0)


def test_resuming_with_other_layers_is_refused_with_the_shapes_that_differ(save_checkpoint, make_trainer):
    _, path = save_checkpoint()
    model = MLP(image_shape=(1, 8, 8), hidden_sizes=(5,))
    message = (
        r"does not fit this MLP: network\.1\.bias has the shape \(16,\) in the checkpoint and \(5,\) in the network"
    )
    with pytest.raises(ValueError, match=message):
        make_trainer(max_epochs=3).fit(model, Digits(), ckpt_path=path, weights_only=True)


def test_second_positional_argument_is_the_device_and_does_not_allow_code(monkeypatch, tmp_path):
    seen = {}

    def spy(_path, map_location=None, *, weights_only=None, **_):
        seen.update(map_location=map_location, weights_only=weights_only)
        return MLP()

    monkeypatch.setattr(L.LightningModule, "load_from_checkpoint", spy)
    MLP.load_from_checkpoint(tmp_path / "a.ckpt", "cpu")
    assert seen == {"map_location": "cpu", "weights_only": True}
