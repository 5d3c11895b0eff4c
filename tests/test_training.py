"""The options of training on the base of all networks: schedule, averages, smoothing, test-time augmentation."""

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from classifier import MLP, Airbench, Digits, ImageClassifier
from classifier.averaging import Lookahead

SHAPE = {"image_shape": (1, 8, 8)}
SMALL = {**SHAPE, "hidden_sizes": (4,)}


class Weights(L.Callback):
    """Keeps the weights of the network, the learning rate and the loss after every step."""

    def __init__(self):
        self.weights, self.rates = [], []

    def on_train_batch_start(self, trainer, module, batch, index):
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self.weights.append(module.network[1].weight.detach().clone())


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_learning_rate_rises_along_a_line_and_then_does_as_its_schedule_says(schedule, make_trainer):
    options = {"lr_schedule": schedule, "lr_warmup": 0.23, "lr_start": 0.2, "lr_end": 0.07}
    kept = Weights()
    trainer = make_trainer(max_epochs=2, limit_train_batches=10, limit_val_batches=0, callbacks=[kept])
    trainer.fit(MLP(**SMALL, lr=0.5, **options), Digits())
    warmup = int(0.23 * 20)
    rising = np.interp(np.arange(warmup), [0, warmup], [0.2, 1])
    done = np.arange(20 - warmup) / (20 - warmup)
    falling = {
        "constant": np.ones(20 - warmup),
        "linear": np.interp(done, [0, 1], [1, 0.07]),
        "cosine": 0.07 + 0.93 * np.cos(np.pi / 2 * done) ** 2,
    }
    expected = 0.5 * np.concatenate((rising, falling[schedule]))
    assert np.array(kept.rates)[:, 0] == pytest.approx(expected, abs=1e-12)


def test_a_schedule_of_a_run_without_end_is_refused(make_trainer):
    with pytest.raises(ValueError, match="lr_schedule needs an end"):
        make_trainer(max_epochs=-1).fit(MLP(**SMALL, lr_schedule="cosine"), Digits())


def test_the_loss_of_training_is_pytorchs_with_smoothed_labels():
    model = MLP(**SMALL, label_smoothing=0.2)
    images, labels = torch.rand(5, 1, 8, 8), torch.arange(5)
    logits = model(images)
    spread = 0.8 * F.one_hot(labels, 10) + 0.02
    assert torch.allclose(model.training_step((images, labels), 0), -(spread * logits.log_softmax(1)).sum(1).mean())
    model.train_scores.score_kept()
    assert torch.allclose(model.train_scores.compute()["loss"], F.cross_entropy(logits, labels))


def test_momentum_of_nesterov_is_pytorchs(make_trainer):
    model, data = MLP(**SMALL, momentum=0.9, nesterov=True, weight_decay=0.01), Digits()
    make_trainer(limit_train_batches=1, limit_val_batches=0).fit(model, data)
    group = model.optimizers().optimizer.param_groups[0]
    assert {key: group[key] for key in ("lr", "momentum", "nesterov", "weight_decay")} == {
        "lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01
    }  # fmt: skip


def mirror(model, images):
    return (model(images) + model(images.flip(-1))) / 2


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_test_time_augmentation_averages_the_views_and_leaves_forward_and_training_alone(dtype):
    images = (torch.rand(6, 1, 8, 8) * 255).byte()
    images = images if dtype == torch.uint8 else images / 255
    model = MLP(**SMALL, mean=(0.5,), std=(0.2,)).eval()
    plain, mirrored = model(images), mirror(model, images)
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="reflect").to(dtype)
    shifted = (mirror(model, padded[..., :8, :8]) + mirror(model, padded[..., 2:, 2:])) / 2
    for tta, expected in {"none": plain, "mirror": mirrored, "mirror_and_shift": (mirrored + shifted) / 2}.items():
        model.hparams.tta = tta
        assert torch.allclose(model.infer(images), expected, atol=1e-6)
        assert torch.allclose(model.predict_step(images, 0), expected.softmax(1), atol=1e-6)
        labels = torch.arange(6)
        assert torch.equal(model.score((images, labels), "train"), plain)
        assert torch.allclose(model.score((images, labels), "test"), expected, atol=1e-6)


def test_channels_last_changes_where_weights_and_images_lie_and_nothing_else():
    torch.manual_seed(0)
    plain = Airbench(image_shape=(3, 20, 20), widths=(8, 8, 8))
    model = Airbench(image_shape=(3, 20, 20), widths=(8, 8, 8), channels_last=True)
    model.load_state_dict(plain.state_dict())
    images = (torch.rand(4, 3, 20, 20) * 255).byte()
    assert torch.allclose(model(images), plain(images), atol=1e-5)
    assert model.network.group2.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.normalise(images).is_contiguous(memory_format=torch.channels_last)


def test_a_moving_average_of_the_weights_is_scored_and_saved_and_stays_at_the_end(make_trainer):
    kept, model = Weights(), MLP(**SMALL, lr=0.5, ema_decay=0.75)
    trainer = make_trainer(max_epochs=1, limit_train_batches=4, callbacks=[kept])
    trainer.fit(model, Digits())
    average = kept.weights[0]
    for weights in kept.weights[1:]:
        average = 0.75 * average + 0.25 * weights
    assert torch.allclose(model.network[1].weight, average, atol=1e-7)
    assert not torch.allclose(average, kept.weights[-1], atol=1e-3)
    figures = dict(trainer.callback_metrics)
    assert make_trainer().test(model, Digits(), verbose=False)[0]["loss/test"] == pytest.approx(
        figures["loss/test"].item(), abs=1e-6
    )


def test_lookahead_takes_the_network_back_to_an_average_that_stays_behind_more_and_more(make_trainer):
    steps = {"lr": 0.5, "momentum": 0.0}
    kept, after, model = Weights(), Weights(), MLP(**SMALL, **steps)
    start = model.network[1].weight.detach().clone()
    L.seed_everything(0)
    # Callbacks see the weights before and after Lookahead's turn.
    options = {"max_epochs": 1, "limit_train_batches": 8, "limit_val_batches": 0}
    make_trainer(**options, callbacks=[kept, Lookahead(every=3, decay=0.9), after]).fit(model, Digits())
    average = start
    for i in (2, 5):
        share = 0.9**3 * ((i + 1) / 8) ** 3
        average = share * average + (1 - share) * kept.weights[i]
        assert torch.allclose(after.weights[i], average, atol=1e-7)
    assert all(torch.equal(kept.weights[i], after.weights[i]) for i in (0, 1, 3, 4, 6, 7))
    assert torch.equal(model.network[1].weight, after.weights[5])  # the last two steps are given up


@pytest.mark.parametrize("averaging", [{"lookahead": 2}, {"ema_decay": 0.9}])
def test_a_resumed_run_with_every_option_ends_as_an_uninterrupted_one(tmp_path, make_trainer, averaging):
    class Cropped(Digits):
        """Digits, few of them."""

        def read(self, train):
            images, labels = super().read(train)
            return images[:100].repeat(1, 1, 3, 3), labels[:100]

        image_shape = (1, 24, 24)

    weights, losses = [], []
    schedule = {"lr_schedule": "linear", "lr_warmup": 0.2, "lr_end": 0.1, "bias_epochs": 1}
    for path in (None, tmp_path / "epoch=1.ckpt"):
        L.seed_everything(0)
        model = Airbench(
            image_shape=(1, 24, 24), widths=(4, 4, 4), lr=0.2, momentum=0.8, nesterov=True, weight_decay=0.01,
            label_smoothing=0.1, tta="mirror", **schedule, **averaging,
        )  # fmt: skip
        keeper = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, enable_version_counter=False)
        trainer = make_trainer(max_epochs=4, enable_checkpointing=True, callbacks=[keeper])
        data = Cropped(batch_size=20, flip="alternating", shift=1, cutout=4)
        trainer.fit(model, data, ckpt_path=path, weights_only=True)
        weights.append(model.state_dict())
        losses.append(trainer.callback_metrics["loss/test"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert losses[0] == losses[1]
    loaded = Airbench.load_from_checkpoint(tmp_path / "epoch=3.ckpt")
    images = data.datasets["test"][:7][0]
    assert torch.equal(loaded.eval()(images), model.eval()(images))


def test_a_new_learning_rate_wins_over_the_stored_one_as_far_as_its_schedule_had_got(tmp_path, make_trainer):
    options, path = {**SMALL, "lr_schedule": "linear", "momentum": 0.5}, tmp_path / "half.ckpt"
    trainer = make_trainer(max_epochs=1, limit_train_batches=10, limit_val_batches=0)
    trainer.fit(MLP(**options, lr=0.1), Digits())
    trainer.save_checkpoint(path)
    kept = Weights()
    trainer = make_trainer(max_epochs=2, limit_train_batches=10, limit_val_batches=0, callbacks=[kept])
    trainer.fit(MLP(**options, lr=0.4), Digits(), ckpt_path=path, weights_only=True)
    # The stored schedule had come to its end; from the next step on it is that of 20 steps.
    assert np.array(kept.rates)[1:, 0] == pytest.approx(0.4 * (1 - np.arange(11, 20) / 20))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nesterov": True}, "nesterov needs a momentum above 0"),
        ({"label_smoothing": 1.0}, "label_smoothing must be from 0 to below 1, not 1.0"),
        ({"lr_schedule": "step"}, "lr_schedule must be constant, linear or cosine, not step"),
        ({"lr_warmup": -0.1}, "lr_warmup must be from 0 to below 1, not -0.1"),
        ({"lr_end": 2.0}, "lr_end must be from 0 to 1, not 2.0"),
        ({"ema_decay": 1.0}, "ema_decay must be from 0 to below 1, not 1.0"),
        ({"lookahead": -1}, "lookahead must be at least 0, not -1"),
        ({"lookahead": 5, "ema_decay": 0.9}, "ema_decay and lookahead exclude each other"),
        ({"tta": "rotate"}, "tta must be none, mirror or mirror_and_shift, not rotate"),
    ],
)
def test_options_that_cannot_work_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        MLP(**options)


def test_all_options_are_off_by_default():
    class Tiny(ImageClassifier):
        def build_network(self):
            return nn.Linear(1, 10)

    off = {"nesterov": False, "label_smoothing": 0.0, "lr_schedule": "constant", "lr_warmup": 0.0, "ema_decay": 0.0}
    off |= {"lookahead": 0, "tta": "none", "channels_last": False, "weight_decay": 0.0}
    assert {name: Tiny().hparams[name] for name in off} == off
