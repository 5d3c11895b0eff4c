"""The number of evaluated images."""

import pytest
from torch.utils.data import DataLoader, SequentialSampler, TensorDataset

from classifier import MLP, Digits
from classifier.callbacks.completeness import CompletenessCheck
from classifier.callbacks.epoch_metrics import get_epoch_metrics
from classifier.errors import UserError


class HalfSampler(SequentialSampler):
    """The first half of a dataset, as if only one of two processes had evaluated its part."""

    def __len__(self):
        return len(self.data_source) // 2

    def __iter__(self):
        return iter(range(len(self)))


@pytest.mark.parametrize(("method", "split", "total"), [("test", "test", 360), ("validate", "val", 100)])
def test_evaluation_of_some_of_the_images_is_an_error_unless_a_limit_is_set(
    make_trainer, monkeypatch, method, split, total
):
    monkeypatch.setattr("classifier.data.loaders.make_sampler", lambda dataset, *_: HalfSampler(dataset))
    model, data = MLP(image_shape=(1, 8, 8)), Digits(val_split=100, test_batch_size=10)
    with pytest.raises(UserError, match=f"^{total // 2} of {total} {split} images were evaluated in 1 processes"):
        getattr(make_trainer(callbacks=[CompletenessCheck()]), method)(model, data, verbose=False)
    for limit in ({f"limit_{split}_batches": 1}, {f"limit_{split}_batches": 0.5}, {"fast_dev_run": True}):
        getattr(make_trainer(callbacks=[CompletenessCheck()], **limit), method)(model, data, verbose=False)


def test_evaluation_of_all_images_is_no_error(make_trainer):
    for method in ("test", "validate"):
        trainer = make_trainer(callbacks=[CompletenessCheck()])
        getattr(trainer, method)(MLP(image_shape=(1, 8, 8)), Digits(val_split=100), verbose=False)


class OwnLoader(Digits):
    """Digits that are evaluated by a loader of the user's own."""

    def test_dataloader(self):
        return DataLoader(TensorDataset(*self.datasets["test"][:100]), batch_size=50)


def test_loader_of_the_users_own_decides_which_images_are_evaluated(make_trainer):
    trainer = make_trainer(callbacks=[CompletenessCheck()])
    trainer.test(MLP(image_shape=(1, 8, 8)), OwnLoader(), verbose=False)
    assert get_epoch_metrics(trainer).images_scored["test"] == 100
