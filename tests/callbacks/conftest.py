"""Fixtures: short trainings with callbacks."""

import lightning as L
import pytest

from classifier import MLP, ConsoleReporter, Digits, ResultsRecorder


@pytest.fixture
def train(make_trainer):
    """Return a function that trains on the digits, by default with console and recorder, and returns the Trainer."""

    def train(max_epochs=3, data=None, model=None, **options):
        L.seed_everything(0)
        defaults = {
            "callbacks": [ConsoleReporter(), ResultsRecorder()],
            "enable_progress_bar": True,
            "num_sanity_val_steps": 0,
        }
        trainer = make_trainer(max_epochs, **{**defaults, **options})
        trainer.fit(model or MLP(image_shape=(1, 8, 8), lr=0.1), data or Digits())
        return trainer

    return train
