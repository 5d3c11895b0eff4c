"""Metrics of an epoch: logged once, before any other callback reads them."""

import lightning as L
import pytest
import torch
from helpers.runs import read_events
from lightning.pytorch.callbacks import Callback

from classifier import MLP, Digits, EpochMetrics
from classifier.callbacks.epoch_metrics import get_epoch_metrics
from classifier.errors import UserError

TAGS = {"loss/train", "loss/test", "accuracy/train", "accuracy/test", "lr", "speed/images_per_second"}


class MetricsSpy(Callback):
    """Reads the metrics of every epoch in an ordinary hook, as a user's callback would."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []
        self.values: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.logged.append({tag: value.item() for tag, value in trainer.callback_metrics.items()})
        self.values.append(dict(get_epoch_metrics(trainer).values))


def test_every_scalar_is_logged_once_per_epoch_at_the_number_of_epochs_done(train):
    events = read_events(train().log_dir)
    assert set(events.Tags()["scalars"]) == TAGS | {"loss/train_running", "hp_metric"}  # the plain logger's own
    for tag in TAGS:
        assert [point.step for point in events.Scalars(tag)] == [1, 2, 3], tag


def test_validation_images_have_their_own_curves(train):
    events = read_events(train(2, Digits(val_split=200)).log_dir)
    assert {"loss/val", "accuracy/val"} <= set(events.Tags()["scalars"])


def test_plain_trainer_without_callbacks_logs_the_same_scalars(train):
    recorded, plain = train(2), train(2, callbacks=[], enable_progress_bar=False)
    for tag in TAGS - {"speed/images_per_second"}:
        values = [[p.value for p in read_events(run.log_dir).Scalars(tag)] for run in (recorded, plain)]
        assert values[0] == values[1], tag


def test_callback_of_the_user_reads_the_metrics_of_the_present_epoch_in_a_plain_trainer(make_trainer):
    spy = MetricsSpy()
    trainer = make_trainer(3, callbacks=[spy], num_sanity_val_steps=0)
    trainer.fit(MLP(image_shape=(1, 8, 8), lr=0.1), Digits(val_split=100))
    events = read_events(trainer.log_dir)
    tags = TAGS | {"loss/val", "accuracy/val"}
    assert len(spy.logged) == len(spy.values) == 3
    for tag in tags:
        expected = [point.value for point in events.Scalars(tag)]
        assert [logged[tag] for logged in spy.logged] == pytest.approx(expected, rel=1e-6), tag
        assert [values[tag] for values in spy.values] == pytest.approx(expected, rel=1e-6), tag
    losses = [logged["loss/train"] for logged in spy.logged]
    assert losses == sorted(set(losses), reverse=True)
    assert all(values.keys() == tags for values in spy.values)


def test_values_of_an_epoch_without_evaluation_are_those_of_training_alone(make_trainer):
    spy = MetricsSpy()
    trainer = make_trainer(3, callbacks=[spy], check_val_every_n_epoch=2, num_sanity_val_steps=0)
    trainer.fit(MLP(image_shape=(1, 8, 8)), Digits())
    assert ["loss/test" in values for values in spy.values] == [False, True, False]
    assert ["loss/test" in logged for logged in spy.logged] == [False, True, True]  # Lightning keeps older values


def test_epoch_metrics_is_first_and_added_once_when_a_trainer_fits_twice(make_trainer):
    spy = MetricsSpy()
    trainer, model = make_trainer(1, callbacks=[spy]), MLP(image_shape=(1, 8, 8))
    trainer.fit(model, Digits())
    trainer.fit_loop.max_epochs = 2
    trainer.fit(model, Digits())
    trainer.test(model, Digits(), verbose=False)
    assert len(spy.values) == 2
    assert type(trainer.callbacks[0]) is EpochMetrics
    assert [type(callback) for callback in trainer.callbacks].count(EpochMetrics) == 1


def test_epoch_metrics_of_the_user_is_not_added_again(make_trainer):
    own = EpochMetrics()
    trainer = make_trainer(1, callbacks=[own])
    trainer.fit(MLP(image_shape=(1, 8, 8)), Digits())
    assert [callback for callback in trainer.callbacks if isinstance(callback, EpochMetrics)] == [own]
    assert own.values["loss/test"] == trainer.callback_metrics["loss/test"].item()


def test_loss_that_is_not_finite_ends_the_run_with_advice(make_trainer):
    trainer = make_trainer(3, num_sanity_val_steps=0)
    message = r"loss is not finite after 1 epochs: train with a learning rate below 1e\+30 \(--model.lr\)"
    with pytest.raises(UserError, match=message):
        trainer.fit(MLP(image_shape=(1, 8, 8), lr=1e30), Digits())


def test_metrics_do_not_depend_on_configure_callbacks_calling_super(make_trainer):
    class Overriding(MLP):
        def configure_callbacks(self):
            return []

    trainer = make_trainer()
    trainer.fit(Overriding(image_shape=(1, 8, 8)), Digits())
    assert {"loss/train", "loss/test"} <= trainer.callback_metrics.keys()


def test_epoch_metrics_that_the_user_puts_last_is_moved_to_the_front(make_trainer):
    own = EpochMetrics()
    trainer = make_trainer(callbacks=[L.Callback(), own])
    trainer.fit(MLP(image_shape=(1, 8, 8)), Digits())
    assert trainer.callbacks[0] is own
    assert sum(isinstance(callback, EpochMetrics) for callback in trainer.callbacks) == 1


def test_loader_whose_dataset_has_an_attribute_called_split_is_a_plain_loader(make_trainer):
    data = Digits()
    data.setup("fit")
    images, labels = data.datasets["test"][:]

    class Foreign(torch.utils.data.TensorDataset):
        split = "extra"  # as in torchvision's SVHN

    loader = torch.utils.data.DataLoader(Foreign(images, labels), batch_size=100)
    [metrics] = make_trainer().validate(MLP(image_shape=(1, 8, 8)), loader, verbose=False)
    assert metrics.keys() >= {"loss/val", "accuracy/val"}
