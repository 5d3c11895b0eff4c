"""Records of runs: `results.json` and `config.yaml`."""

import json
from pathlib import Path

import pytest

from classifier.errors import UserError
from classifier.runs.records import find_record, find_run_folder, read_record

RESULTS = {
    "seed": 3,
    "device": "cpu",
    "processes": 1,
    "threads": 2,
    "machine": "Linux",
    "versions": {"torch": "2.15.0"},
    "epochs": [{"epoch": 1, "accuracy/test": 0.5}],
}
CONFIG = """
seed_everything: 3
trainer:
  max_epochs: 4
  devices: 1
  min_epochs: null
  enable_model_summary: false
  use_distributed_sampler: true
  logger: {class_path: CSVLogger, init_args: {save_dir: logs}}
model: {class_path: classifier.CNN, init_args: {lr: 0.1, mean: null}}
data: {class_path: classifier.CIFAR10, init_args: {batch_size: 4}}
ckpt_path: null
allow_import: []
"""


@pytest.fixture
def folder():
    folder = Path("lightning_logs", "my run")
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(RESULTS))
    (folder / "config.yaml").write_text(CONFIG)
    return folder


def test_record_has_the_results_and_the_settings_that_have_an_effect(folder):
    record = read_record(folder)
    assert (record.name, record.seed, record.threads, record.versions) == ("my run", 3, 2, {"torch": "2.15.0"})
    assert record.epochs == [{"epoch": 1, "accuracy/test": 0.5}]
    assert record.settings == {
        "seed_everything": 3,
        "trainer.max_epochs": 4,
        "trainer.logger.class_path": "CSVLogger",
        "trainer.logger.save_dir": "logs",
        "model.lr": 0.1,
        "data.batch_size": 4,
    }
    assert record.reproduce == "python -m classifier fit --config 'lightning_logs/my run/config.yaml'"


def test_record_without_settings_has_no_command(folder):
    (folder / "config.yaml").unlink()
    record = read_record(folder)
    assert (record.settings, record.reproduce) == ({}, None)


def test_record_of_an_older_version_has_none_for_what_it_lacks(folder):
    (folder / "results.json").write_text('{"epochs": []}')
    record = read_record(folder)
    assert (record.seed, record.device, record.versions, record.epochs) == (None, None, {}, [])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("results.json", "{", "results.json is damaged: Expecting property name"),
        ("results.json", "[]", "results.json is damaged: it contains no settings"),
        ("results.json", '{"epochs": {}}', "results.json is damaged: epochs is not a list"),
        ("results.json", '{"epochs": [{}]}', "results.json is damaged: an epoch has no number"),
        ("results.json", '{"epochs": [1]}', "results.json is damaged: an epoch has no number"),
        ("results.json", "[" * 100_000, "results.json is damaged: "),
        ("config.yaml", "a: [", "config.yaml is damaged: "),
        ("config.yaml", "[" * 5000, "config.yaml is damaged: "),
        ("config.yaml", "a: &a {b: 1}\nc: *a", "config.yaml is damaged: it contains an alias"),
        ("config.yaml", "x: '" + "a" * 1_000_001 + "'", "config.yaml is damaged: it is too large"),
        ("config.yaml", "a: !!python/object/apply:os.getcwd []", "config.yaml is damaged: "),
        ("config.yaml", b"\xff", "config.yaml is damaged: "),
    ],
)
def test_damaged_file_is_reported_in_one_line(folder, file, content, message):
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        read_record(folder)
    assert str(error.value).startswith(f"lightning_logs/my run/{message}")
    assert "\n" not in str(error.value)


def test_missing_results_are_reported(folder):
    (folder / "results.json").unlink()
    with pytest.raises(UserError, match=r"results\.json cannot be read: No such file"):
        read_record(folder)


def test_record_is_found_from_a_checkpoint_in_the_folder_of_a_run_only(folder, monkeypatch):
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    assert find_record(checkpoints / "last.ckpt") == read_record(folder)
    monkeypatch.chdir(checkpoints)
    assert find_record(Path("last.ckpt")).name == "my run"
    assert find_run_folder(Path("last.ckpt")) == Path("..")
    assert find_record(Path("../../last.ckpt")) is None
    assert find_run_folder(Path("../last.ckpt")) is None
