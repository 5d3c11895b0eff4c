"""The running training loss: which images a point averages, and that it changes nothing else."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers.runs import read_events
from lightning.pytorch.callbacks import Callback

from classifier import MLP, Digits
from classifier.callbacks.epoch_metrics import get_epoch_metrics
from classifier.callbacks.running_loss import RunningLoss


class Losses(Callback):
    """Stores the sum of the losses and the number of images of every batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[float, int]] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # by which Lightning has divided it
        self.batches.append((loss * len(batch[1]), len(batch[1])))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_point_is_the_mean_loss_of_the_images_of_the_last_steps_also_across_epochs(train, accumulate):
    spy = Losses()
    options = {"log_every_n_steps": 5, "accumulate_grad_batches": accumulate, "callbacks": [spy]}
    trainer = train(2, **options)  # 23 batches per epoch, the last one smaller
    points = read_events(trainer.log_dir).Scalars("loss/train_running")
    assert [point.step for point in points] == list(range(5, trainer.global_step + 1, 5))
    ends = range(5, 47, 5) if accumulate == 1 else [15, 29, 44]  # the last step of an epoch has 2 batches
    for point, start, end in zip(points, [0, *ends], ends, strict=False):
        losses, counts = zip(*spy.batches[start:end], strict=True)
        assert point.value == pytest.approx(sum(losses) / sum(counts), rel=1e-5)


def test_interval_of_0_switches_the_points_off(train):
    trainer = train(1, log_every_n_steps=0, limit_train_batches=2, callbacks=[])
    assert "loss/train_running" not in read_events(trainer.log_dir).Tags()["scalars"]
    assert not get_epoch_metrics(trainer).running_loss.points


def test_weights_and_metrics_of_the_epoch_do_not_depend_on_the_interval(train):
    runs = [train(1, log_every_n_steps=interval, limit_train_batches=8, callbacks=[]) for interval in (0, 3)]
    weights = [run.lightning_module.state_dict() for run in runs]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    values = [{**get_epoch_metrics(run).values, "speed/images_per_second": 0} for run in runs]
    assert values[0] == values[1]


def test_second_fit_of_a_trainer_starts_without_points(train):
    trainer = train(1, log_every_n_steps=20, logger=False, limit_val_batches=0)
    assert [step for step, _ in get_epoch_metrics(trainer).running_loss.points] == [20]
    trainer.fit_loop.max_epochs = 2
    trainer.fit(MLP(image_shape=(1, 8, 8)), Digits())
    assert [step for step, _ in get_epoch_metrics(trainer).running_loss.points] == [40]


def test_losses_that_were_taken_are_not_taken_again():
    metrics = MLP(image_shape=(1, 8, 8)).train_metrics
    metrics.max_pending_batches = 3
    generator = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 10, generator=generator), torch.arange(4)) for _ in range(8)]
    taken = []
    for index, batch in enumerate(batches):
        metrics.add(*batch)
        if index in (1, 4, 7):  # within a queue, and after one was emptied
            taken.append([float(value) for value in metrics.take_recent()])
    for (loss_sum, num_images), group in zip(taken, (batches[:2], batches[2:5], batches[5:]), strict=True):
        expected = sum(float(F.cross_entropy(*batch, reduction="sum")) for batch in group)
        assert (loss_sum, num_images) == (pytest.approx(expected, rel=1e-5), 4 * len(group))


def test_network_that_takes_several_steps_at_once_gets_one_point_for_them():
    running_loss, trainer = RunningLoss(), SimpleNamespace(log_every_n_steps=5, global_step=3)
    running_loss.start(trainer)
    assert running_loss.next_step == 5
    trainer.global_step, running_loss.collect = 12, lambda *_: None
    step, loss = running_loss.add_point(trainer, None)
    assert (step, math.isnan(loss), running_loss.next_step) == (12, True, 15)
