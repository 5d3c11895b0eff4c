"""The optimizer and the learning rate schedule."""

import lightning as L
import numpy as np
import pytest

from classifier import MLP, Digits
from classifier.models.optimization import get_lr_factor, override_optimizer_state

SMALL = {"image_shape": (1, 8, 8), "hidden_sizes": (4,)}


class LearningRates(L.Callback):
    """Records the learning rates of all parameter groups in every step."""

    def __init__(self):
        self.rates = []

    def on_train_batch_start(self, trainer, module, batch, index):
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_learning_rate_rises_linearly_and_then_follows_its_schedule(schedule, make_trainer):
    options = {"lr_schedule": schedule, "lr_warmup": 0.23, "lr_start": 0.2, "lr_end": 0.07}
    recorded = LearningRates()
    trainer = make_trainer(max_epochs=2, limit_train_batches=10, limit_val_batches=0, callbacks=[recorded])
    trainer.fit(MLP(**SMALL, lr=0.5, **options), Digits())
    warmup = int(0.23 * 20)
    rising = np.interp(np.arange(warmup), [0, warmup], [0.2, 1])
    progress = np.arange(20 - warmup) / (20 - warmup)
    decays = {
        "constant": np.ones(20 - warmup),
        "linear": np.interp(progress, [0, 1], [1, 0.07]),
        "cosine": 0.07 + 0.93 * np.cos(np.pi / 2 * progress) ** 2,
    }
    expected = 0.5 * np.concatenate((rising, decays[schedule]))
    assert np.array(recorded.rates)[:, 0] == pytest.approx(expected, abs=1e-12)


def test_a_schedule_is_refused_for_a_run_without_a_last_step(make_trainer):
    with pytest.raises(ValueError, match="lr_schedule needs a limit on the run"):
        make_trainer(max_epochs=-1).fit(MLP(**SMALL, lr_schedule="cosine"), Digits())


def test_sgd_gets_its_arguments_from_the_hyperparameters(make_trainer):
    model, data = MLP(**SMALL, momentum=0.9, nesterov=True, weight_decay=0.01), Digits()
    make_trainer(limit_train_batches=1, limit_val_batches=0).fit(model, data)
    group = model.optimizers().optimizer.param_groups[0]
    assert {key: group[key] for key in ("lr", "momentum", "nesterov", "weight_decay")} == {
        "lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01
    }  # fmt: skip


def test_a_new_learning_rate_replaces_the_stored_one_at_the_same_position_in_the_schedule(tmp_path, make_trainer):
    options, path = {**SMALL, "lr_schedule": "linear", "momentum": 0.5}, tmp_path / "half.ckpt"
    trainer = make_trainer(max_epochs=1, limit_train_batches=10, limit_val_batches=0)
    trainer.fit(MLP(**options, lr=0.1), Digits())
    trainer.save_checkpoint(path)
    recorded = LearningRates()
    trainer = make_trainer(max_epochs=2, limit_train_batches=10, limit_val_batches=0, callbacks=[recorded])
    trainer.fit(MLP(**options, lr=0.4), Digits(), ckpt_path=path, weights_only=True)
    # The stored schedule had reached its end; the next steps follow a schedule of 20 steps.
    assert np.array(recorded.rates)[1:, 0] == pytest.approx(0.4 * (1 - np.arange(11, 20) / 20))


def test_the_schedule_ends_at_the_last_step_and_stays_there():
    plan = {"num_steps": 10, "schedule": "linear", "warmup": 0.25, "start": 0.5, "end": 0.2}
    factors = [get_lr_factor(step, **plan) for step in (0, 1, 2, 6, 10, 15)]
    assert factors == pytest.approx([0.5, 0.75, 1.0, 0.6, 0.2, 0.2])


def test_only_changed_hyperparameters_replace_those_of_the_stored_optimizer():
    stored = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": False}
    group = {**stored, "lr": 0.05, "initial_lr": 0.1}  # halfway through a linear schedule
    biases = {**group, "lr": 0.5, "initial_lr": 1.0}
    checkpoint = {
        "hyper_parameters": stored,
        "optimizer_states": [{"param_groups": [group, biases]}],
        "lr_schedulers": [{"base_lrs": [0.1, 1.0]}],
    }
    hparams = {**stored, "lr": 0.4, "momentum": 0.8}
    override_optimizer_state(checkpoint, hparams, [{"params": []}, {"params": [], "lr": 4.0, "weight_decay": 0.001}])
    assert group == pytest.approx({**stored, "momentum": 0.8, "lr": 0.2, "initial_lr": 0.4})
    assert biases == pytest.approx({**stored, "momentum": 0.8, "lr": 2.0, "initial_lr": 4.0})
    assert checkpoint["lr_schedulers"] == [{"base_lrs": [0.4, 4.0]}]
