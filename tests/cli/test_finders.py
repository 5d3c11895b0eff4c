"""Searches of the learning rate and the batch size before a run."""

from pathlib import Path

import pytest
import torch
import yaml
from helpers.runs import FIT_DIGITS, get_weights, load_last, read_results

SHORT = (*FIT_DIGITS, "--trainer.max_epochs=1", "--model.hidden_sizes=[8]", "--trainer.limit_train_batches=8")
FIND_RATE = ("--trainer.callbacks+=LearningRateFinder", "--trainer.callbacks.num_training_steps=16")


def read_config(run: str = "version_0") -> dict:
    """Return the configuration of a run."""
    return yaml.safe_load(Path("lightning_logs", run, "config.yaml").read_text())


def test_rate_that_is_found_is_printed_once_and_recorded_and_its_run_can_be_repeated(run):
    options = ("--model.ema_decay=0.9", "--model.lr_schedule=cosine", "--data.flip=random", "--data.shift=1")
    output = run(*SHORT, *FIND_RATE, *options, "--trainer.callbacks+=LearningRateMonitor")
    rate = load_last()["hyper_parameters"]["lr"]
    assert 1e-8 < rate < 1
    assert output.splitlines()[0] == f"learning rate {rate:.3g}, found by LearningRateFinder"
    assert output.count("found") == 1
    config = read_config()
    assert config["model"]["init_args"]["lr"] == rate
    assert [spec["class_path"].rpartition(".")[2] for spec in config["trainer"]["callbacks"]] == ["LearningRateMonitor"]
    assert yaml.safe_load(Path("lightning_logs/version_0/hparams.yaml").read_text())["lr"] == rate
    assert read_results()["hyperparameters"]["model"]["lr"] == rate
    assert sorted(path.name for path in Path().iterdir()) == ["lightning_logs"]

    run("fit", "--config=lightning_logs/version_0/config.yaml")
    run(*SHORT, *options, f"--model.lr={rate!r}")
    for other in ("version_1", "version_2"):
        weights = get_weights(other)
        assert all(torch.equal(weights[name], value) for name, value in get_weights().items()), other
    assert read_config("version_1") == config
    assert "found" not in run("fit", "--ckpt_path=lightning_logs/version_0", "--trainer.max_epochs=2")


def test_batch_size_is_searched_before_the_rate_and_recorded(run):
    finder = ("--trainer.callbacks+=BatchSizeFinder", "--trainer.callbacks.max_trials=3")
    lines = run(*SHORT, *FIND_RATE, *finder, "--trainer.callbacks.steps_per_trial=1").splitlines()
    assert lines[0] == "batch size 8, found by BatchSizeFinder"
    assert lines[1].startswith("learning rate ")
    config = read_config()
    assert config["data"]["init_args"]["batch_size"] == load_last()["datamodule_hyper_parameters"]["batch_size"] == 8
    assert config["trainer"]["callbacks"] is None
    assert read_results()["hyperparameters"]["data"]["batch_size"] == 8


def test_rate_is_only_printed_if_it_is_not_to_be_used(run):
    output = run(*SHORT, *FIND_RATE, "--trainer.callbacks.update_attr=false")
    assert output.splitlines()[0].endswith(", found by LearningRateFinder and not used: update_attr is false")
    assert load_last()["hyper_parameters"]["lr"] == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--trainer.callbacks.num_training_steps=5",), "LearningRateFinder has too few finite losses to choose from"),
        (("--trainer.callbacks.attr_name=rate",), "LearningRateFinder: classifier.MLP has no argument rate"),
        (
            ("--trainer.devices=2", "--trainer.accelerator=cpu"),
            "needs a single process: search with --trainer.devices 1, and pass the result as --model.lr",
        ),
    ],
)
def test_search_that_is_not_possible_is_refused_before_the_run_has_a_folder(fail, options, message):
    status, line = fail(*SHORT, *FIND_RATE, *options)
    assert (status, message in line) == (2, True), line
    assert not Path("lightning_logs").exists()


def test_search_of_a_run_that_is_continued_is_refused(run, fail):
    run(*SHORT)
    _, line = fail("fit", "--ckpt_path=last", "--trainer.max_epochs=2", *FIND_RATE)
    assert "LearningRateFinder belongs to a new run: leave it out, or leave out --ckpt_path" in line
