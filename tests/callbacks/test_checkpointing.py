"""Checkpoint files: written atomically, and when."""

import os

import pytest
import torch
from helpers.runs import read_results

from classifier import MLP, Digits, ResultsRecorder
from classifier.callbacks.checkpointing import AtomicCheckpointIO, EpochCheckpoint
from classifier.callbacks.recorder import to_json


def test_saved_checkpoint_loads_and_no_other_file_is_left(tmp_path):
    AtomicCheckpointIO().save_checkpoint({"weight": torch.arange(3)}, tmp_path / "checkpoints" / "last.ckpt")
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt")["weight"].tolist() == [0, 1, 2]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_failed_save_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)

    def refuse(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    message = f"cannot save {path}: No space left on device; the previous checkpoint is still there"
    with pytest.raises(ValueError, match=message):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoint_gets_its_name_only_when_it_is_complete(tmp_path, monkeypatch):
    names = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (names.extend(p.name for p in tmp_path.iterdir()), sync(file)))
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, tmp_path / "last.ckpt")
    assert [name[:12] for name in names] == [".unfinished-"]


def test_last_is_saved_after_every_epoch_and_best_only_when_the_accuracy_rises(make_trainer):
    epochs = []

    class Spy(AtomicCheckpointIO):
        def save_checkpoint(self, checkpoint, path, storage_options=None):
            epochs.append((checkpoint["epoch"] + 1, os.path.basename(path)))  # noqa: PTH119 a path or a string
            super().save_checkpoint(checkpoint, path, storage_options)

    recorder = ResultsRecorder()
    callbacks = [recorder, EpochCheckpoint("best", monitor="accuracy/val"), EpochCheckpoint("last")]
    options = {"enable_checkpointing": True, "callbacks": callbacks, "plugins": [Spy()], "num_sanity_val_steps": 0}
    trainer = make_trainer(6, **options)
    trainer.fit(MLP(image_shape=(1, 8, 8), lr=0.5), Digits(val_split=300))
    accuracies = [epoch["accuracy/val"] for epoch in recorder.epochs]
    rises = [i + 1 for i, value in enumerate(accuracies) if value > max(accuracies[:i], default=0.0)]
    assert 1 < len(rises) < 6, "choose settings with epochs that are not the best so far"
    assert [epoch for epoch, name in epochs if name == "last.ckpt"] == [1, 2, 3, 4, 5, 6]
    assert [epoch for epoch, name in epochs if name == "best.ckpt"] == rises
    assert epochs[:2] == [(1, "best.ckpt"), (1, "last.ckpt")]


def test_checkpoint_carries_the_recorded_epochs_up_to_its_own(run):
    run(
        "fit", "--config=digits", "--pictures=false", "--data.val_split=300", "--model.lr=0.5", "--trainer.max_epochs=6"
    )
    recorded = read_results()["epochs"]
    assert [epoch["epoch"] for epoch in recorded] == [1, 2, 3, 4, 5, 6]
    done = {}
    for name in ("last", "best"):
        checkpoint = torch.load(f"lightning_logs/version_0/checkpoints/{name}.ckpt", weights_only=True)
        done[name] = checkpoint["epoch"] + 1
        epochs = checkpoint["callbacks"]["ResultsRecorder"]["epochs"]
        assert to_json(epochs, digits=7) == recorded[: done[name]]
    assert done["best"] < done["last"] == 6, "choose settings whose last epoch is not the best"


def test_a_changed_bit_is_refused_when_a_run_is_resumed(make_trainer, tmp_path):
    plugins, path = [AtomicCheckpointIO()], tmp_path / "last.ckpt"
    trainer = make_trainer(plugins=plugins)
    trainer.fit(MLP(image_shape=(1, 8, 8)), Digits())
    trainer.save_checkpoint(path)
    make_trainer(max_epochs=2, plugins=plugins).fit(MLP(image_shape=(1, 8, 8)), Digits(), ckpt_path=path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"last\.ckpt is not a checkpoint of classifier, or is damaged: Bad CRC-32"):
        make_trainer(max_epochs=2, plugins=plugins).fit(MLP(image_shape=(1, 8, 8)), Digits(), ckpt_path=path)
