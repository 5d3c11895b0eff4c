"""Training and scoring with several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
import torch
from helpers.processes import REPOSITORY, SERVER
from helpers.runs import get_weights, read_events, read_results
from lightning.pytorch.callbacks import ModelCheckpoint

from classifier import MLP, Airbench, Digits
from classifier.cli import processes
from classifier.errors import UserError

FIT = ("fit", "--config=digits", "--trainer.max_epochs=2", "--data.val_split=101", "--trainer.log_every_n_steps=7")
HALVES = ("--data.batch_size", "32", "--trainer.accelerator", "cpu", "--threads", "2")


@pytest.mark.slow
def test_two_processes_train_like_one_with_twice_the_batch_and_score_every_image_once(run, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}  # torchrun warns without it
    with Path("out").open("w") as out, Path("err").open("w") as err:
        command = [*torchrun, "-m", "classifier", *FIT, *HALVES]
        subprocess.run(command, cwd=tmp_path, env=environment, stdout=out, stderr=err, timeout=120, check=True)
    assert Path("err").read_text() == ""
    lines = Path("out").read_text().splitlines()
    assert [line[:9] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert len(list(Path("lightning_logs/version_0").glob("events*"))) == 1
    assert [path.name for path in Path("lightning_logs").iterdir()] == ["version_0"]
    results, together = read_results("version_0"), get_weights("version_0")
    assert (results["processes"], results["threads"]) == (2, 2)
    last = results["epochs"][-1]
    assert last["images_scored"] == {"train": 1336, "val": 101, "test": 360}
    metrics = f"test loss {last['loss/test']:.4f} accuracy {last['accuracy/test']:.2%} (360 images)"
    assert metrics in run("test", "--ckpt_path", "last")

    run(*FIT)
    results, alone = read_results("version_1"), get_weights("version_1")
    assert all(torch.allclose(together[name], alone[name], atol=1e-5) for name in alone)
    for tag in ("loss/train", "loss/val", "loss/test"):
        assert last[tag] == pytest.approx(results["epochs"][-1][tag], abs=1e-5)
    points = [read_events(f"lightning_logs/version_{i}").Scalars("loss/train_running") for i in (0, 1)]
    assert [point.step for point in points[0]] == [7, 14, 21, 28, 35, 42]
    assert [point.value for point in points[0]] == pytest.approx([point.value for point in points[1]], abs=1e-5)
    errors = [[error["index"] for error in read_results(f"version_{i}")["top_losses/test"]] for i in (0, 1)]
    assert errors[0] == errors[1]
    images = [read_events(f"lightning_logs/version_{i}").Tags()["images"] for i in (0, 1)]
    assert len(images[0]) == 4
    assert images[0] == images[1]


class UnevenDigits(Digits):
    """Digits with 359 test images, a prime: no number of processes above one divides it."""

    def read(self, split):
        images, labels = super().read(split)
        return (images, labels) if split == "train" else (images[1:], labels[1:])


def score(devices: int, use_distributed_sampler: bool, file: Path) -> None:
    """Score the test images with several processes, and write the metrics that the first one returns to a file."""
    torch.manual_seed(0)
    model, options = MLP(image_shape=(1, 8, 8)), {"accelerator": "cpu", "logger": False, "enable_progress_bar": False}
    strategy = "ddp_fork" if devices > 1 else "auto"
    trainer = L.Trainer(devices=devices, strategy=strategy, use_distributed_sampler=use_distributed_sampler, **options)
    metrics = trainer.test(model, UnevenDigits(test_batch_size=50), verbose=False)[0]
    file.write_text(json.dumps(metrics))


@pytest.mark.parametrize(("devices", "use_distributed_sampler"), [(2, True), (2, False), (3, True)])
def test_metrics_are_the_same_with_any_number_of_processes(tmp_path, devices, use_distributed_sampler):
    metrics = []
    for count in (1, devices):
        file = tmp_path / f"{count}.json"
        process = SERVER.Process(target=score, args=(count, use_distributed_sampler, file))
        process.start()
        process.join()
        metrics.append(json.loads(file.read_text()))
    assert metrics[0]["accuracy/test"] == metrics[1]["accuracy/test"]
    assert metrics[0]["loss/test"] == pytest.approx(metrics[1]["loss/test"], abs=1e-6)
    assert round(metrics[0]["accuracy/test"] * 359, 3).is_integer()


class LargeDigits(Digits):
    """The first 101 images of each split of Digits, enlarged to 24x24 pixels."""

    image_shape = (1, 24, 24)

    def read(self, split):
        images, labels = super().read(split)
        return images[:101].repeat_interleave(3, 2).repeat_interleave(3, 3), labels[:101]


def train_together(folder: Path) -> None:
    """Train a network with BatchNorm, frozen layers and averaged weights in two processes."""
    L.seed_everything(0)
    model = Airbench((1, 24, 24), (4, 4, 4), bias_epochs=1, lr=0.1, momentum=0.5, lookahead=2, tta="mirror")
    trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_fork", max_epochs=3, default_root_dir=folder, logger=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=[ModelCheckpoint(folder, "together", save_on_train_epoch_end=True)],
    )  # fmt: skip
    trainer.fit(model, LargeDigits(batch_size=10, flip="alternating", shift=1))
    if trainer.global_rank == 0:
        (folder / "metrics.json").write_text(json.dumps({k: v.item() for k, v in trainer.callback_metrics.items()}))


def test_checkpoint_of_two_processes_scores_as_they_did_at_the_end_of_training(tmp_path, make_trainer):
    process = SERVER.Process(target=train_together, args=(tmp_path,))
    process.start()
    process.join()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    model = Airbench.load_from_checkpoint(tmp_path / "together.ckpt")
    alone = make_trainer().test(model, LargeDigits(), verbose=False)[0]
    assert alone["loss/test"] == pytest.approx(metrics["loss/test"], abs=1e-6)
    assert alone["accuracy/test"] == metrics["accuracy/test"]


SLURM = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_JOB_ID": "12345"}
TORCHRUN = {"RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "1"}
LSF = {
    **{"JSM_NAMESPACE_RANK": "0", "JSM_NAMESPACE_LOCAL_RANK": "0", "JSM_NAMESPACE_SIZE": "2"},
    **{"LSB_JOBID": "1234", "LSB_DJOB_RANKFILE": "hosts", "LSB_AFFINITY_HOSTFILE": "hosts"},
}


@pytest.mark.parametrize(
    ("environment", "devices", "message"),
    [
        ({"WORLD_SIZE": "2"}, 1, "2 processes were started (WORLD_SIZE), but --trainer.devices"),
        ({"WORLD_SIZE": "1", "LOCAL_RANK": "0"}, 2, "1 processes were started (WORLD_SIZE), but --trainer.devices"),
        ({"WORLD_SIZE": "two"}, 1, "invalid literal for int() with base 10: 'two'"),
        ({**TORCHRUN, "WORLD_SIZE": "1"}, 2, "1 processes were started (TorchElasticEnvironment), but"),
        ({**SLURM, "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "2"}, 2, "1 processes were started (SLURM"),
        ({**SLURM, "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}, 1, "2 processes were started (SLURM"),
        ({**SLURM, "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "3"}, 2, "--ntasks-per-node=3` does not match"),
        ({**SLURM, "SLURM_NTASKS": "2"}, 1, "Use `--ntasks-per-node=2` instead"),
        (LSF, 1, "2 processes were started (LSFEnvironment), but --trainer.devices"),
        (LSF, 3, "2 processes were started (LSFEnvironment), but --trainer.devices"),
    ],
)
def test_another_number_of_processes_than_the_settings_ask_for_is_refused(
    fail, monkeypatch, environment, devices, message
):
    monkeypatch.setattr("socket.gethostname", lambda: "node1")
    Path("hosts").write_text("launch\nnode1\nnode1\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setattr("classifier.cli.main.time.sleep", lambda _: None)
    status, line = fail(*FIT, "--trainer.accelerator", "cpu", "--trainer.devices", devices)
    assert (status, message in line) == (2, True), line


def test_process_says_for_whom_it_waits(capsys, monkeypatch):
    monkeypatch.setenv("MASTER_PORT", "29512")
    monkeypatch.setattr(processes, "SECONDS_UNTIL_MESSAGE", 0.0)
    trainer = L.Trainer(accelerator="cpu", devices=2, num_nodes=3, logger=False)
    trainer.strategy.cluster_environment.set_world_size(6)
    with processes.wait_for_processes(trainer, before_exit=lambda: None):
        printed = ""
        while not printed:
            printed = capsys.readouterr().out
    assert printed == "waiting for 6 processes on 3 nodes at 127.0.0.1:29512\n"


@pytest.mark.parametrize(
    "error",
    [
        torch.distributed.DistStoreError("timed out after 1800 s\nat line 1"),
        RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer"),
    ],
)
def test_process_that_has_ended_or_cannot_be_reached_is_reported_in_one_line(error):
    trainer = L.Trainer(accelerator="cpu", devices=2, logger=False)
    trainer.strategy.cluster_environment.set_world_size(2)
    with (
        pytest.raises(UserError, match=r"^another process of this run has ended or cannot be reached; .*$"),
        processes.wait_for_processes(trainer, before_exit=lambda: None),
    ):
        raise error
