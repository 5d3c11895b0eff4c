"""Training and testing with a Trainer: equality to a plain loop, options of the Trainer, and resumed runs."""

import math

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from helpers.data_files import make_images
from helpers.tutorials import load_tutorial
from lightning.pytorch.callbacks import ModelCheckpoint
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from classifier import CIFAR10, CNN, MLP, ConsoleReporter, Digits, FashionMNIST, ResultsRecorder
from classifier.callbacks.epoch_metrics import get_epoch_metrics

CASES = {"MLP": (MLP, FashionMNIST, "fashion_root"), "CNN": (CNN, CIFAR10, "cifar_root")}


@pytest.fixture(params=CASES)
def pair(request):
    """Return a network and its data module, on small files."""
    model_class, data_class, root = CASES[request.param]
    torch.manual_seed(1)
    return model_class(), data_class(root=str(request.getfixturevalue(root)))


def test_training_equals_a_plain_loop_step_by_step(pair, make_trainer):
    model, data = pair
    network = load_tutorial(model)
    make_trainer(max_epochs=2).fit(model, data)

    dataset, loader = data.datasets["train"], data.train_dataloader()
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    optimizer = torch.optim.SGD(network.parameters(), lr=model.hparams.lr, momentum=model.hparams.momentum)
    torch.backends.mkldnn.enabled = isinstance(model, MLP)  # CNN trains without oneDNN on its batches of 4
    try:
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            order = list(loader.sampler)
            for start in range(0, len(order), loader.batch_size):
                images, labels = dataset[order[start : start + loader.batch_size]]
                loss = F.cross_entropy(network((images / 255 - mean) / std), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    finally:
        torch.backends.mkldnn.enabled = True
    trained = zip(model.network.parameters(), network.parameters(), strict=True)
    assert all(torch.equal(ours, plain) for ours, plain in trained)


def test_test_metrics_equal_those_of_a_plain_loop_averaged_over_images(pair, make_trainer):
    model, data = pair
    data.hparams.test_batch_size = 7  # leaves a smaller last batch
    [metrics] = make_trainer().test(model, data, verbose=False)
    images, labels = data.datasets["test"][:]
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    with torch.inference_mode():
        logits = load_tutorial(model)((images / 255 - mean) / std)
    assert metrics["loss/test"] == pytest.approx(F.cross_entropy(logits, labels).item(), abs=1e-6)
    assert metrics["accuracy/test"] == pytest.approx((logits.argmax(1) == labels).double().mean().item())


class DropoutMLP(MLP):
    """An MLP that draws random numbers during training."""

    def build_network(self):
        first, *rest = super().build_network()
        return nn.Sequential(first, nn.Dropout(0.5), *rest)


@pytest.mark.parametrize("model_class", [MLP, DropoutMLP])
def test_a_resumed_run_ends_with_the_same_weights_as_an_uninterrupted_one(tmp_path, make_trainer, model_class):
    options = {"image_shape": (1, 8, 8), "lr": 0.1, "momentum": 0.9, "hidden_sizes": (16,)}
    weights = []
    for stops in ((2, 4), (4,)):
        path = None
        for stop in stops:
            L.seed_everything(0)
            model = model_class(**options)
            trainer = make_trainer(max_epochs=stop)
            trainer.fit(model, Digits(), ckpt_path=path, weights_only=True)
            path = tmp_path / f"{stop}.ckpt"
            trainer.save_checkpoint(path)
        weights.append(list(model.parameters()))
    assert all(torch.equal(resumed, uninterrupted) for resumed, uninterrupted in zip(*weights, strict=True))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, make_trainer):
    class Diverging(MLP):
        """An MLP with weights that become NaN in the second epoch."""

        def on_train_batch_end(self, *_):
            if self.current_epoch == 1:
                nn.init.constant_(self.network[1].weight, math.nan)

    saver = ModelCheckpoint(tmp_path, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = make_trainer(max_epochs=5, enable_checkpointing=True, callbacks=[saver])
    with pytest.raises(ValueError, match="test loss is not finite after 2 epochs: train with a learning rate below"):
        trainer.fit(Diverging(image_shape=(1, 8, 8)), Digits())
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 0
    assert all(weights.isfinite().all() for weights in checkpoint["state_dict"].values())


def train_digits(make_trainer, batch_size=64, limit=8, **options) -> MLP:
    L.seed_everything(0)
    model = MLP(image_shape=(1, 8, 8), hidden_sizes=(16,), lr=0.1)
    make_trainer(limit_train_batches=limit, **options).fit(model, Digits(batch_size=batch_size))
    return model


def test_accumulating_gradients_over_two_batches_equals_batches_of_twice_the_size(make_trainer):
    accumulated = train_digits(make_trainer, 32, 16, accumulate_grad_batches=2)
    direct = train_digits(make_trainer, 64, 8)
    assert torch.allclose(accumulated.network[1].weight, direct.network[1].weight, atol=1e-7)


def test_gradient_clipping_bounds_the_length_of_a_step(make_trainer):
    L.seed_everything(0)
    start = MLP(image_shape=(1, 8, 8), hidden_sizes=(16,), lr=0.1)
    clipped = train_digits(make_trainer, limit=1, gradient_clip_val=1e-3)
    steps = [a - b for a, b in zip(clipped.parameters(), start.parameters(), strict=True)]
    length = math.sqrt(sum(step.square().sum().item() for step in steps))
    assert length == pytest.approx(0.1 * 1e-3, rel=1e-3)


@pytest.mark.parametrize(
    ("precision", "weights", "logits"),
    [
        ("bf16-mixed", torch.float32, torch.bfloat16),
        ("bf16-true", torch.bfloat16, torch.bfloat16),
        ("64-true", torch.float64, torch.float64),
    ],
)
def test_the_trainer_determines_the_precision_of_weights_and_logits(make_trainer, precision, weights, logits):
    seen = set()

    class RecordTypes(L.Callback):
        def on_test_batch_end(self, trainer, module, *_):
            seen.update(pending.dtype for pending, _ in module.test_metrics.pending)

    trainer = make_trainer(precision=precision, callbacks=[RecordTypes()])
    model = MLP(image_shape=(1, 8, 8), lr=0.1)
    trainer.fit(model, Digits())
    trainer.test(model, Digits(), verbose=False)
    assert seen == {logits}
    assert model.network[1].weight.dtype == weights
    assert math.isfinite(get_epoch_metrics(trainer).values["loss/test"])


@pytest.mark.parametrize(
    ("options", "trained", "tested"),
    [
        ({"limit_train_batches": 3}, 3 * 64, 360),
        ({"limit_val_batches": 1}, 1437, 250),
        ({"val_check_interval": 4}, 1437, 360),
        ({"num_sanity_val_steps": 2}, 1437, 360),
        ({"fast_dev_run": True}, 64, 250),
        ({"max_steps": 30, "max_epochs": 5}, 7 * 64, 360),
        ({"profiler": "simple", "detect_anomaly": True}, 1437, 360),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*logging interval.*")
def test_metrics_count_the_images_that_the_trainer_options_select(make_trainer, options, trained, tested):
    model = MLP(image_shape=(1, 8, 8))
    callbacks = [ConsoleReporter(bar=False), ResultsRecorder()]
    trainer = make_trainer(callbacks=callbacks, **{"enable_progress_bar": True, **options})
    trainer.fit(model, Digits(test_batch_size=250))
    counts = [model.get_metrics(split).compute()["num_images"] for split in ("train", "test")]
    assert counts == [trained, tested]


def test_overfitting_one_batch_reduces_its_loss(make_trainer):
    L.seed_everything(0)
    model = MLP(image_shape=(1, 8, 8), lr=0.1, momentum=0.9)
    with pytest.warns(UserWarning, match="You requested to overfit"):
        make_trainer(max_epochs=80, overfit_batches=1).fit(model, Digits())
    metrics = model.get_metrics("train").compute()
    assert metrics["num_images"] == 64
    assert metrics["loss"] < 0.1


def test_plain_data_loaders_can_be_used_in_place_of_a_data_module(make_trainer):
    images, labels = (torch.from_numpy(array) for array in make_images(64, 1, 8, 0))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels.long()), 16)
    model = MLP(image_shape=(1, 8, 8))
    trainer = make_trainer()
    trainer.fit(model, loader, loader)
    assert {"loss/train", "loss/val", "accuracy/val"} <= trainer.callback_metrics.keys()
    assert "loss/test" not in trainer.callback_metrics
    assert trainer.test(model, loader, verbose=False)[0].keys() >= {"loss/test", "accuracy/test"}


def test_a_test_after_training_is_logged_at_the_last_epoch(make_trainer):
    trainer = make_trainer(max_epochs=2)
    model = MLP(image_shape=(1, 8, 8))
    trainer.fit(model, Digits())
    trainer.test(model, Digits(), verbose=False)
    steps = [point.step for point in EventAccumulator(trainer.log_dir).Reload().Scalars("loss/test")]
    assert sorted(steps) == [1, 2, 2]  # two files can have the same second in their names, and any order
