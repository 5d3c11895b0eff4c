"""`fit`, `validate` and `test`: what a run writes, prints and reproduces."""

import re
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from helpers.data_files import write_fashion_mnist
from helpers.runs import FIT_DIGITS, LOGS, get_weights, read_results

from classifier import MLP, Digits

TWO_EPOCHS = (*FIT_DIGITS, "--trainer.max_epochs", "2")


def test_run_writes_config_hparams_events_results_a_lock_and_one_checkpoint(run):
    run(*TWO_EPOCHS)
    names = sorted(re.sub(r"tfevents.*", "tfevents", file.name) for file in (LOGS / "version_0").iterdir())
    assert names == [".lock", "checkpoints", "config.yaml", "events.out.tfevents", "hparams.yaml", "results.json"]
    assert [file.name for file in (LOGS / "version_0" / "checkpoints").iterdir()] == ["last.ckpt"]
    assert sorted(Path().iterdir()) == [LOGS]


def test_same_seed_gives_the_same_weights_and_losses_and_another_seed_gives_others(run):
    run(*TWO_EPOCHS)
    run(*TWO_EPOCHS)
    run(*TWO_EPOCHS, "--seed_everything", "1")
    first, second, other = (get_weights(f"version_{i}") for i in range(3))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["network.1.weight"], other["network.1.weight"])
    losses = [[epoch["loss/test"] for epoch in read_results(f"version_{i}")["epochs"]] for i in (0, 1)]
    assert losses[0] == losses[1]


def test_config_of_a_run_reproduces_the_run_exactly(run):
    run(
        *TWO_EPOCHS,
        *("--model.lr", "0.05"),
        *("--data.val_split", "100"),
        *("--data.test_batch_size", "40"),
        *("--trainer.limit_val_batches", "2"),
    )
    run("fit", "--config", "lightning_logs/version_0/config.yaml")
    first, second = get_weights("version_0"), get_weights("version_1")
    assert all(torch.equal(first[name], second[name]) for name in first)
    results = [read_results(f"version_{i}")["epochs"][-1] for i in (0, 1)]
    assert results[0]["images_scored"] == results[1]["images_scored"] == {"train": 1337, "val": 80, "test": 80}
    assert results[0]["loss/test"] == results[1]["loss/test"]


def test_test_needs_only_the_checkpoint_and_prints_the_metrics_that_fit_recorded(run):
    run(*TWO_EPOCHS)
    last = read_results()["epochs"][-1]
    metrics = f"test loss {last['loss/test']:.4f} accuracy {last['accuracy/test']:.2%} (360 images)"
    printed = run("test", "--ckpt_path", "last")
    assert "checkpoint: lightning_logs/version_0/checkpoints/last.ckpt" in printed
    assert metrics in printed
    assert f"  7   {last['accuracy_by_class/test']['7']:6.1%}" in printed
    for path in ("lightning_logs/version_0", "lightning_logs/version_0/checkpoints/last.ckpt"):
        assert metrics in run("test", "--ckpt_path", path)
    assert not Path("lightning_logs/version_1").exists()


def test_test_without_a_checkpoint_scores_the_newest_run(run):
    run(*TWO_EPOCHS)
    run(*TWO_EPOCHS, "--model.hidden_sizes", "[8]")
    printed = run("test")
    assert printed.startswith("checkpoint: lightning_logs/version_1/checkpoints/last.ckpt\n")
    assert printed == run("test", "--ckpt_path", "last") == run("test", "--ckpt_path", "lightning_logs/version_1")


def test_best_is_the_best_epoch_on_the_validation_images(run):
    run(*FIT_DIGITS, "--data.val_split", "300", "--model.lr", "0.5", "--trainer.max_epochs", "6")
    epochs = read_results()["epochs"]
    best = max(epochs, key=lambda epoch: epoch["accuracy/val"])
    assert best["epoch"] != 6, "choose settings whose last epoch is not the best"
    printed = run("validate", "--ckpt_path", "best")
    assert f"val loss {best['loss/val']:.4f} accuracy {best['accuracy/val']:.2%} (300 images)" in printed
    assert f"val loss {epochs[-1]['loss/val']:.4f}" in run("validate", "--ckpt_path", "last")


def test_without_validation_images_best_is_the_last_epoch_and_validate_is_refused(run, fail):
    run(*TWO_EPOCHS)
    assert "last.ckpt" in run("test", "--ckpt_path", "best")
    status, line = fail("validate", "--ckpt_path", "last")
    assert (status, "val_split is 0: use test" in line) == (2, True)


def test_run_of_a_notebook_is_found_by_its_folder_and_by_last_and_best(run):
    L.Trainer(max_epochs=1, accelerator="cpu", enable_progress_bar=False).fit(MLP(image_shape=(1, 8, 8)), Digits())
    for name in ("lightning_logs/version_0", "last", "best"):
        assert "(360 images)" in run("test", "--ckpt_path", name)


def test_bare_command_trains_the_mlp_of_the_tutorial(run):
    write_fashion_mnist(Path("data"))
    run("fit", "--trainer.max_epochs", "1")
    config = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert config["seed_everything"] == 0
    assert config["model"]["init_args"]["hidden_sizes"] == [256, 128]
    assert read_results()["epochs"][0]["images_scored"] == {"train": 300, "test": 130}


@pytest.mark.usefixtures("cifar_root")
def test_every_network_adapts_to_every_data_set(run):
    write_fashion_mnist(Path())
    run("fit", "--model", "CNN", "--data", "FashionMNIST", "--data.root", ".", "--trainer.max_epochs", "1")
    run("fit", "--model", "MLP", "--data", "CIFAR10", "--trainer.max_epochs", "1")
    assert get_weights("version_0")["network.conv1.weight"].shape == (6, 1, 5, 5)
    assert get_weights("version_1")["network.1.weight"].shape == (256, 3072)


def test_run_without_logger_and_checkpoints_and_bar_writes_nothing(run):
    options = ("--trainer.logger", "false", "--trainer.enable_checkpointing", "false")
    printed = run(*TWO_EPOCHS, *options, "--trainer.enable_progress_bar", "false")
    assert "epoch 2/2" in printed
    assert not list(Path().iterdir())


def test_callbacks_of_the_user_are_added_to_those_of_the_program(run):
    printed = run(
        *TWO_EPOCHS,
        *("--trainer.callbacks", "EarlyStopping"),
        *("--trainer.callbacks.monitor", "loss/train"),
        *("--trainer.callbacks.divergence_threshold", "0.0"),
    )
    assert "epoch 1/2" in printed
    assert "epoch 2/2" not in printed
    assert len(read_results()["epochs"]) == 1


def test_runs_are_written_under_default_root_dir(run):
    run(*TWO_EPOCHS, "--trainer.default_root_dir", "runs")
    assert Path("runs/lightning_logs/version_0/results.json").is_file()
    assert "runs/lightning_logs" in run("test", "--ckpt_path", "last", "--trainer.default_root_dir", "runs")


def test_fast_dev_run_writes_nothing(run):
    run(*TWO_EPOCHS, "--trainer.fast_dev_run", "true")
    assert not list(Path().iterdir())


def test_number_of_threads_can_be_set_and_is_recorded(run):
    run(*TWO_EPOCHS, "--threads", "2")
    assert torch.get_num_threads() == 2
    assert read_results()["threads"] == 2
