"""Averages of the weights: Lookahead and the exponential moving average."""

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from classifier import MLP, Airbench, Digits, Lookahead

SMALL = {"image_shape": (1, 8, 8), "hidden_sizes": (4,)}


class Weights(L.Callback):
    """Records the weights of the first layer after every step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self.weights.append(module.network[1].weight.detach().clone())


def test_a_moving_average_of_the_weights_is_scored_and_replaces_them_at_the_end(make_trainer):
    recorded, model = Weights(), MLP(**SMALL, lr=0.5, ema_decay=0.75)
    trainer = make_trainer(max_epochs=1, limit_train_batches=4, callbacks=[recorded])
    trainer.fit(model, Digits())
    average = recorded.weights[0]
    for weights in recorded.weights[1:]:
        average = 0.75 * average + 0.25 * weights
    assert torch.allclose(model.network[1].weight, average, atol=1e-7)
    assert not torch.allclose(average, recorded.weights[-1], atol=1e-3)
    loss = trainer.callback_metrics["loss/test"].item()
    [metrics] = make_trainer().test(model, Digits(), verbose=False)
    assert metrics["loss/test"] == pytest.approx(loss, abs=1e-6)


def test_lookahead_returns_the_network_to_an_average_that_lags_behind_more_and_more(make_trainer):
    before, after, model = Weights(), Weights(), MLP(**SMALL, lr=0.5, momentum=0.0)
    start = model.network[1].weight.detach().clone()
    L.seed_everything(0)
    # One callback records the weights before Lookahead changes them, the other afterwards.
    options = {"max_epochs": 1, "limit_train_batches": 8, "limit_val_batches": 0}
    make_trainer(**options, callbacks=[before, Lookahead(every=3, decay=0.9), after]).fit(model, Digits())
    average = start
    for i in (2, 5):
        fraction = 0.9**3 * ((i + 1) / 8) ** 3
        average = fraction * average + (1 - fraction) * before.weights[i]
        assert torch.allclose(after.weights[i], average, atol=1e-7)
    assert all(torch.equal(before.weights[i], after.weights[i]) for i in (0, 1, 3, 4, 6, 7))
    assert torch.equal(model.network[1].weight, after.weights[5])  # the last two steps are discarded


@pytest.mark.parametrize("averaging", [{"lookahead": 2}, {"ema_decay": 0.9}])
def test_a_resumed_run_with_all_options_ends_like_an_uninterrupted_one(tmp_path, make_trainer, averaging):
    class FewDigits(Digits):
        """The first 100 digits, repeated to 24x24 pixels."""

        def read(self, split):
            images, labels = super().read(split)
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
        saver = ModelCheckpoint(tmp_path, "{epoch}", save_top_k=-1, enable_version_counter=False)
        trainer = make_trainer(max_epochs=4, enable_checkpointing=True, callbacks=[saver])
        data = FewDigits(batch_size=20, flip="alternating", shift=1, cutout=4)
        trainer.fit(model, data, ckpt_path=path, weights_only=True)
        weights.append(model.state_dict())
        losses.append(trainer.callback_metrics["loss/test"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert losses[0] == losses[1]
    loaded = Airbench.load_from_checkpoint(tmp_path / "epoch=3.ckpt")
    images = data.datasets["test"][:7][0]
    assert torch.equal(loaded.eval()(images), model.eval()(images))
