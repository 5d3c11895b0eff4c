"""The loggers of a run."""

import copy
from pathlib import Path

import pytest
import yaml
from helpers.user_parts import Service

from classifier.runs.logger import RunCSVLogger, RunFolder, RunLogger


def read_hparams() -> dict[str, object]:
    return yaml.safe_load(Path("runs/version_0/hparams.yaml").read_text())


def make_logger() -> RunLogger:
    logger = RunLogger(".", "runs", "version_0", default_hp_metric=False)
    Path("runs/version_0").mkdir(parents=True, exist_ok=True)
    return logger


def test_hparams_are_written_once_and_again_when_they_change(monkeypatch):
    logger = make_logger()
    logger.log_hyperparams({"lr": 0.1})
    logger.save()
    assert read_hparams() == {"lr": 0.1}
    with monkeypatch.context() as patch:
        patch.setattr("classifier.runs.logger.save_hparams_to_yaml", pytest.fail)
        logger.save()
    resumed = make_logger()
    resumed.log_hyperparams({"lr": 0.2})
    resumed.save()
    assert read_hparams() == {"lr": 0.2}
    assert [path.name for path in Path("runs/version_0").glob("*.yaml")] == ["hparams.yaml"]


def test_interrupted_write_keeps_the_previous_hparams(monkeypatch):
    logger = make_logger()
    logger.log_hyperparams({"lr": 0.1})
    logger.save()

    def stop(path, _):
        Path(path).write_text("lr: 0")
        raise KeyboardInterrupt

    monkeypatch.setattr("classifier.runs.logger.save_hparams_to_yaml", stop)
    logger.log_hyperparams({"lr": 0.2})
    with pytest.raises(KeyboardInterrupt):
        logger.save()
    assert read_hparams() == {"lr": 0.1}


@pytest.mark.parametrize("name", ["$HOME", "~", "100%", "new\nline"])
def test_every_name_of_a_folder_is_kept(tmp_path, name):
    logger = RunLogger(tmp_path / name, "runs", "version_0")
    assert logger.log_dir == str(tmp_path / name / "runs" / "version_0")
    assert RunLogger(name, "runs", "version_0").log_dir == f"{name}/runs/version_0"


def test_folder_without_a_logger_of_its_own_has_hparams_and_passes_on_what_it_lacks(tmp_path):
    service = Service()
    folder = RunFolder(tmp_path, service)
    folder.log_hyperparams({"lr": 0.1})
    folder.log_metrics({"loss/test": 1.0}, 1)
    folder.save()
    assert yaml.safe_load((tmp_path / "hparams.yaml").read_text()) == {"lr": 0.1}
    assert [path.name for path in tmp_path.iterdir()] == ["hparams.yaml"]
    assert (folder.log_dir, folder.log_image("shoe"), service.metrics) == (str(tmp_path), "image shoe", [])
    service.experiment = "run"
    assert folder.experiment == "run"
    for name in ("watch", "_private", "logger2"):
        assert not hasattr(folder, name)
    assert isinstance(copy.deepcopy(folder).logger, Service)  # which reads attributes before they are set


@pytest.mark.parametrize("content", ["", "step\n1\n", "a,step\n1,x\n2,\n", "\0\n\xe9,", "a,step\n1,2,3,4\n"])
def test_damaged_csv_file_does_not_stop_a_resumed_run(tmp_path, content):
    logger = RunCSVLogger(tmp_path, "", "")
    logger.metrics_file.write_text(content, encoding="latin-1")
    logger.replace_points(logger.read_points())
    logger.log_metrics({"a": 3.0}, 5)
    logger.save()
    assert logger.read_points()[-1] == {"a": "3.0", "step": "5"}
