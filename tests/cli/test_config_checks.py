"""Checks of a parsed configuration, and the number of epochs where nothing limits the run."""

from pathlib import Path

import pytest
import yaml
from helpers.data_files import write_fashion_mnist
from helpers.runs import FIT_DIGITS

from classifier import ImageClassifier
from classifier.cli.config_checks import check_args_from_data
from classifier.errors import SettingError


def test_max_steps_alone_trains_for_more_epochs_than_the_recipe(run):
    write_fashion_mnist(Path("data"))
    limits = ("--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1", "--pictures=false")
    printed = run("fit", "--trainer.max_steps", "31", *limits)  # 31 epochs of one step
    assert [line for line in printed.splitlines() if line.startswith("epoch 31  ")]


def test_max_steps_in_a_file_trains_for_more_epochs_than_the_recipe(run):
    Path("steps.yaml").write_text("model: MLP\ndata: Digits\ntrainer:\n  max_steps: 31\n  limit_train_batches: 1\n")
    printed = run("fit", "--config", "steps.yaml", "--pictures=false", "--trainer.limit_val_batches=1")
    assert [line for line in printed.splitlines() if line.startswith("epoch 31  ")]


def test_run_without_any_limit_gets_the_epochs_of_the_default_recipe(run):
    Path("digits.yaml").write_text("model: MLP\ndata: Digits\ntrainer:\n  limit_train_batches: 1\n")
    run("fit", "--config", "digits.yaml", "--pictures=false", "--trainer.limit_val_batches=1")
    config = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert config["trainer"]["max_epochs"] == 30


class WithoutKwargs(ImageClassifier):
    """A network whose constructor does not take the arguments that come from the data."""

    def __init__(self, lr: float = 0.1) -> None:
        super().__init__(lr=lr)

    def build_network(self):
        raise NotImplementedError


def test_network_that_does_not_take_arguments_from_the_data_is_refused_with_advice():
    name = f"{WithoutKwargs.__module__}.WithoutKwargs"
    with pytest.raises(SettingError, match=r"WithoutKwargs does not take image_shape: pass \*\*kwargs on to"):
        check_args_from_data(name, {"lr": 0.1})


@pytest.mark.parametrize("option", ["--ckpt_path=last", "--seed_everything=false", "--trainer.fast_dev_run=true"])
def test_seeds_are_refused_where_a_run_does_not_start_from_its_own_seed(run, fail, option):
    run(*FIT_DIGITS, "--trainer.max_epochs=1")
    status, line = fail(*FIT_DIGITS, "--trainer.max_epochs=2", "--seeds=2", option)
    assert (status, "--seeds starts whole runs from a seed: leave out" in line) == (2, True), line


def test_settings_of_a_file_that_the_chosen_network_does_not_have_are_reported_once(run):
    Path("mine.yaml").write_text(
        "model: {class_path: TorchVision, init_args: {name: resnet18, weights: null, lr: 0.05}}\ndata: Digits\n"
    )
    options = ("--pictures=false", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1")
    printed = run("fit", "--config", "mine.yaml", "--model", "MLP", *options)
    line = "--config mine.yaml: MLP does not have these settings: name, weights"
    assert printed.splitlines().count(line) == 1
    printed = run("fit", "--config", "photos", "--model", "MLP", "--data", "Digits", *options, "--data.crop", 1)
    assert "--config photos: MLP does not have these settings: name, weights, keep_statistics\n" in printed
    assert "--config photos: Digits does not have these settings: image_size, resize\n" in printed
