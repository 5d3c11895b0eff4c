"""Files of checkpoints and folders of runs."""

import os
import pickle
import threading

import pytest
import torch

from classifier import MLP
from classifier.checkpoints import AtomicCheckpointIO, claim_run, find_checkpoint, load_checkpoint, load_model


def test_a_saved_checkpoint_loads_and_nothing_else_is_left(tmp_path):
    AtomicCheckpointIO().save_checkpoint({"weight": torch.arange(3)}, tmp_path / "checkpoints" / "last.ckpt")
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt")["weight"].tolist() == [0, 1, 2]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_a_save_that_fails_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)

    def refuse(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ValueError, match=f"cannot save {path}: No space left on device; the checkpoint before is kept"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_has_its_name_only_when_it_is_complete(tmp_path, monkeypatch):
    names = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (names.extend(p.name for p in tmp_path.iterdir()), sync(file)))
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, tmp_path / "last.ckpt")
    assert [name[:12] for name in names] == [".unfinished-"]


def test_starts_at_the_same_time_get_a_folder_each(tmp_path):
    (tmp_path / "version_7").mkdir()
    (tmp_path / "tutorial_cifar10").mkdir()
    barrier, names = threading.Barrier(8), []

    def claim():
        barrier.wait()
        names.append(claim_run(tmp_path))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names, key=lambda name: int(name[8:])) == [f"version_{number}" for number in range(8, 16)]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 begins as a zip"], ids=["empty", "text", "truncated"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is not a checkpoint of classifier, or is damaged"):
        load_checkpoint(path)


GOOD = {"classes": {"model": "classifier.models.MLP"}, "hyper_parameters": {}, "state_dict": {}, "epoch": 0}


@pytest.mark.parametrize(
    "odd",
    [{"classes": {"model": 5}}, {"hyper_parameters": [1]}, {"state_dict": {"x": 1}}, {"epoch": None}, {"classes": {}}],
    ids=str,
)
def test_a_checkpoint_with_parts_of_another_kind_is_refused(tmp_path, odd):
    torch.save({**GOOD, **odd}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="is not a checkpoint of classifier, or is damaged"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_a_network_whose_settings_or_weights_do_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"the settings in the checkpoint do not fit MLP: .*unknown"):
        load_model({**GOOD, "hyper_parameters": {"unknown": 1}})
    with pytest.raises(ValueError, match="the checkpoint does not fit this MLP"):
        load_model(GOOD)


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path, monkeypatch):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "last.ckpt"
    torch.save({**GOOD, "hyper_parameters": Malicious()}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of classifier, or is damaged"):
        load_checkpoint(path)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # what PyTorch then does unless it is told otherwise
    with pytest.raises(pickle.UnpicklingError):
        MLP.load_from_checkpoint(path)
    assert not (tmp_path / "owned").exists()


def test_a_run_that_left_no_checkpoint_is_not_the_newest(tmp_path):
    AtomicCheckpointIO().save_checkpoint({}, tmp_path / "version_0" / "checkpoints" / "last.ckpt")
    killed = tmp_path / "version_1" / "checkpoints" / ".unfinished-1"
    killed.mkdir(parents=True)
    (killed / "last.ckpt").write_bytes(b"half a checkpoint")
    assert find_checkpoint("last", tmp_path) == tmp_path / "version_0" / "checkpoints" / "last.ckpt"


def test_a_checkpoint_of_version_0_1_and_one_of_today_load_and_one_of_a_newer_version_is_refused():
    model = MLP()
    today = {"hyper_parameters": dict(model.hparams), "state_dict": model.state_dict(), "epoch": 0}
    for name, version in (("classifier.models.MLP", {}), ("classifier.MLP", {"format_version": 2})):
        torch.save({**today, "classes": {"model": name}, **version}, "a.ckpt")
        loaded = load_model(load_checkpoint("a.ckpt"))
        assert torch.equal(loaded.network[1].weight, model.network[1].weight)
    torch.save({**today, "classes": {"model": "classifier.MLP"}, "format_version": 3}, "a.ckpt")
    with pytest.raises(ValueError, match=r"a.ckpt .*: it was written by a newer version, in format 3"):
        load_checkpoint("a.ckpt")
