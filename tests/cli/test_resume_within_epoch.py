"""A run that is resumed within an epoch ends with the records of an uninterrupted run."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.runs import FIT_DIGITS, load_last, read_events, read_results
from PIL import Image

from classifier import MLP, Digits
from classifier.callbacks.epoch_metrics import get_epoch_metrics
from classifier.callbacks.loop_state import find_position

BASE = (*FIT_DIGITS, "--data.batch_size=60", "--data.val_split=237")  # 20 batches per epoch
EVERY_7 = "--trainer.val_check_interval=7"
AUGMENTED = ("--data.flip=random", "--data.shift=1", "--model.ema_decay=0.9", "--data.cutout=3")
TIMED = ("seconds", "speed/images_per_second")


def read_records(run: str, without: tuple[str, ...] = ()) -> dict:
    """Return the results, the curves, the weights and the optimizer state of a run, without durations."""
    results = {key: value for key, value in read_results(run).items() if key not in without}
    results["epochs"] = [{key: x for key, x in epoch.items() if key not in TIMED} for epoch in results["epochs"]]
    events, last = read_events(f"lightning_logs/{run}"), load_last(run)
    curves = {
        tag: [(point.step, point.value) for point in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if tag not in TIMED
    }
    optimizer = {i: part["momentum_buffer"] for i, part in last["optimizer_states"][0]["state"].items()}
    return {
        "results": results,
        "curves": curves,
        "position": find_position(last),
        "tensors": {**last["state_dict"], **optimizer},
    }


def assert_same_records(run: str, expected_run: str, without: tuple[str, ...] = ()) -> None:
    """Check that two runs have the same records; tensors have to be equal bit for bit."""
    records, expected = read_records(run, without), read_records(expected_run, without)
    tensors, expected_tensors = records.pop("tensors"), expected.pop("tensors")
    assert records == expected
    assert tensors.keys() == expected_tensors.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected_tensors.items())


@pytest.mark.parametrize(
    ("options", "stop", "end"),
    [
        (("--trainer.callbacks+=LearningRateMonitor", "--trainer.callbacks.logging_interval=step"), 20, 50),
        (AUGMENTED, 25, 50),
        ((EVERY_7,), 27, 50),
        (("--trainer.check_val_every_n_epoch=null", "--trainer.val_check_interval=25"), 25, 40),
        (("--trainer.accumulate_grad_batches=3",), 9, 18),
        (("--trainer.precision=64-true", "--model.ema_decay=0.9"), 25, 45),
    ],
    ids=[
        *("at the end of an epoch", "augmented", "at an evaluation", "at an evaluation every n steps"),
        *("accumulated gradients", "double precision"),
    ],
)
def test_run_that_max_steps_ended_resumes_exactly(run, options, stop, end):
    run(*BASE, *options, "--trainer.log_every_n_steps=1", f"--trainer.max_steps={end}")
    run(*BASE, *options, "--trainer.log_every_n_steps=1", f"--trainer.max_steps={stop}")
    run("fit", "--ckpt_path=lightning_logs/version_1", f"--trainer.max_steps={end}")
    # The evaluation that takes place only because the run stops can be the best one; its weights are then kept.
    assert_same_records("version_1", "version_0", without=("best",))


@pytest.mark.parametrize(
    ("checkpoints", "options", "name"),
    [
        ({"every_n_train_steps": 20}, (), "step=20"),
        ({"every_n_train_steps": 7}, (EVERY_7,), "step=14"),
        ({"every_n_train_steps": 20}, ("--trainer.check_val_every_n_epoch=2",), "step=20"),
        ({"every_n_train_steps": 10}, ("--trainer.limit_train_batches=0.5",), "step=10"),
        ({"train_time_interval": "0:00:00"}, ("--trainer.accumulate_grad_batches=3", *AUGMENTED), "step=9"),
        ({"every_n_epochs": 1, "save_on_train_epoch_end": False}, (EVERY_7,), "step=27"),
        ({"every_n_epochs": 1, "save_on_train_epoch_end": False}, (), "step=40"),
        ({"every_n_epochs": 1}, (EVERY_7,), "best"),
    ],
    ids=[
        *("after the last batch", "before an evaluation", "after the last batch, not evaluated"),
        *("after the last of fewer batches", "between optimizer steps", "after an evaluation"),
        *("after the last evaluation", "best evaluation"),
    ],
)
def test_run_resumes_exactly_from_a_checkpoint_of_any_moment(run, checkpoints, options, name):
    callback = {"class_path": "ModelCheckpoint", "init_args": {"save_top_k": -1, **checkpoints}}
    Path("callback.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": [callback]}}))
    run(*BASE, *options, "--config=callback.yaml", "--trainer.max_epochs=3")
    shutil.copytree("lightning_logs/version_0", "lightning_logs/version_1")
    (path,) = [path for path in Path("lightning_logs/version_1/checkpoints").glob("*.ckpt") if name in path.stem][:1]
    run("fit", f"--ckpt_path={path}")
    assert_same_records("version_1", "version_0")


def test_epoch_that_ends_early_is_recorded_as_incomplete_until_the_run_is_resumed(run):
    run(*BASE, "--trainer.max_steps=25", "--trainer.max_epochs=2")
    first, second = read_results()["epochs"]
    assert "batches" not in first
    assert (second["batches"], second["batches_per_epoch"], second["images_scored"]["train"]) == (5, 20, 300)
    run("fit", "--ckpt_path=last", "--trainer.max_epochs=2", "--trainer.max_steps=-1")  # although epoch 2 is recorded
    _, second = read_results()["epochs"]
    assert second["images_scored"]["train"] == 1200
    assert "batches" not in second


def test_best_checkpoint_has_the_weights_of_the_best_evaluation_within_any_epoch(run):
    run(*BASE, EVERY_7, "--trainer.max_epochs=3", "--model.lr=0.3")
    evaluations = [evaluation for epoch in read_results()["epochs"] for evaluation in epoch["evaluations"]]
    assert [evaluation["step"] for evaluation in evaluations] == [7, 14, 27, 34, 47, 54]
    points = read_events("lightning_logs/version_0").Scalars("accuracy/val_by_step")
    assert [(point.step, round(point.value, 6)) for point in points] == [
        (evaluation["step"], round(evaluation["accuracy/val"], 6)) for evaluation in evaluations
    ]
    best = max(evaluations, key=lambda evaluation: evaluation["accuracy/val"])
    checkpoint = torch.load("lightning_logs/version_0/checkpoints/best.ckpt", weights_only=True)
    assert checkpoint["global_step"] == best["step"]
    output = run("validate", "--ckpt_path=best")
    assert f"val loss {best['loss/val']:.4f} accuracy {best['accuracy/val']:.2%}" in output


def test_network_of_a_checkpoint_within_an_epoch_can_be_trained_from_the_start(run, make_trainer):
    run(*BASE, "--trainer.max_steps=25")
    path = Path("lightning_logs/version_0/checkpoints/last.ckpt")
    model = MLP.load_from_checkpoint(path)
    assert not torch.load(path, weights_only=True)["unfinished_epoch"][0]["gradients"]  # none accumulate
    trainer = make_trainer(1, limit_train_batches=4)
    trainer.fit(model, Digits())
    assert get_epoch_metrics(trainer).images_scored["train"] == 256


def test_files_of_checkpoints_are_named_by_the_number_of_optimizer_steps(run):
    options = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=10")
    run(*BASE, *options, "--trainer.callbacks.save_top_k=-1", "--trainer.max_epochs=2")
    names = sorted(path.name for path in Path("lightning_logs/version_0/checkpoints").glob("epoch*"))
    assert names == ["epoch=0-step=10.ckpt", "epoch=0-step=20.ckpt", "epoch=1-step=30.ckpt", "epoch=1-step=40.ckpt"]


def test_checkpoint_within_an_epoch_needs_the_same_number_of_processes(run, fail):
    run(*BASE, "--trainer.max_steps=25")
    last = Path("lightning_logs/version_0/checkpoints/last.ckpt")
    checkpoint = torch.load(last, weights_only=True)
    checkpoint["unfinished_epoch"] *= 2
    torch.save(checkpoint, last)
    _, message = fail("fit", "--ckpt_path=last", "--trainer.max_steps=40")
    assert "written within an epoch by 2 processes" in message


def test_run_that_reads_files_in_worker_processes_resumes_with_the_images_of_its_epoch(run, monkeypatch):
    monkeypatch.setattr("classifier.data.sources.MIN_FILES_FOR_WORKERS", 1)
    pixels = np.random.default_rng(0).integers(0, 255, (44, 8, 8, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        path = Path("images", "train" if i < 40 else "test", "ab"[i % 2], f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    network = ("--model=MLP", "--model.hidden_sizes=[8]", "--model.lr=0.1", "--pictures=false")
    files = ("--data=ImageFolder", "--data.root=images", "--data.image_size=8", "--data.batch_size=8")
    files += ("--data.cache=0", "--data.cache_limit=0")
    run("fit", *network, *files, "--trainer.max_epochs=3")
    run("fit", *network, *files, "--trainer.max_steps=8")  # within the second epoch
    run("fit", "--ckpt_path=lightning_logs/version_1", "--trainer.max_epochs=3", "--trainer.max_steps=-1")
    assert_same_records("version_1", "version_0")


def test_checkpoint_of_the_last_step_is_continued_by_the_evaluation_alone(run):
    options = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=20")
    run(*BASE, *options, "--trainer.callbacks.save_top_k=-1", "--trainer.max_epochs=1")
    run("fit", "--ckpt_path=lightning_logs/version_0/checkpoints/epoch=0-step=20.ckpt")
    assert [epoch["images_scored"]["test"] for epoch in read_results()["epochs"]] == [360]
