"""The logger of a run."""

from pathlib import Path

import pytest
import yaml

from classifier.runs.logger import RunLogger


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
