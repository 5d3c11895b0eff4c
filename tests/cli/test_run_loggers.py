"""Loggers of a run: every run has its folder, whatever they are."""

import csv
import json
import sys
from pathlib import Path

import pytest
from helpers.runs import FIT_DIGITS, LOGS, read_events
from helpers.user_parts import Service
from jsonargparse import Namespace
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger

from classifier.cli.run_loggers import find_place, finish_wandb, keeps_run, make_loggers
from classifier.errors import SettingError, UserError
from classifier.runs.logger import RunCSVLogger, RunFolder, RunLogger

TWO_EPOCHS = (*FIT_DIGITS, "--trainer.max_epochs=2", "--data.val_split=100")
NAMES = {
    TensorBoardLogger: "lightning.pytorch.loggers.TensorBoardLogger",
    CSVLogger: "lightning.pytorch.loggers.CSVLogger",
}


def configure(*loggers: tuple[type, dict], listed: bool = False, root: str | None = None) -> tuple[Namespace, list]:
    """Return settings of the Trainer with loggers, as they are parsed, and what is built from them."""
    specs, built = [], []
    for cls, arguments in loggers:
        own = {} if cls is Service else {"save_dir": "logs", "name": "lightning_logs", "version": None, **arguments}
        path = f"{cls.__module__ if cls is Service else 'lightning.pytorch.loggers'}.{cls.__name__}"
        specs.append(Namespace(class_path=path, init_args=Namespace(**own)))
        built.append(cls(**own))
    logger = specs if listed else specs[0] if specs else None
    return Namespace(logger=logger, fast_dev_run=False, default_root_dir=root), built


CSV, BOARD, SERVICE = (CSVLogger, {}), (TensorBoardLogger, {}), (Service, {})


@pytest.mark.parametrize(
    ("loggers", "listed", "folder", "types"),
    [
        ([], False, "lightning_logs/version_0", [RunLogger]),
        ([SERVICE], False, "lightning_logs/version_0", [RunFolder, Service]),
        ([SERVICE], True, "lightning_logs/version_0", [RunLogger, Service]),
        ([CSV], False, "logs/lightning_logs/version_0", [RunFolder, RunCSVLogger]),
        ([CSV], True, "lightning_logs/version_0", [RunLogger, RunCSVLogger]),
        ([BOARD], False, "logs/lightning_logs/version_0", [RunLogger]),
        ([BOARD, CSV], True, "logs/lightning_logs/version_0", [RunLogger, RunCSVLogger]),
        ([SERVICE, BOARD], True, "lightning_logs/version_0", [RunFolder, Service, RunLogger]),
        ([(TensorBoardLogger, {"name": ""})], False, "logs/version_0", [RunLogger]),
        ([(TensorBoardLogger, {"version": 7})], False, "logs/lightning_logs/version_7", [RunLogger]),
        ([(CSVLogger, {"version": "a"})], False, "logs/lightning_logs/a", [RunFolder, RunCSVLogger]),
        ([(TensorBoardLogger, {"sub_dir": "b"})], False, "logs/lightning_logs/version_0", [RunFolder, RunLogger]),
    ],
)
def test_first_logger_names_the_folder_of_the_run(loggers, listed, folder, types):
    made = make_loggers(*configure(*loggers, listed=listed), None, None)
    assert [type(logger) for logger in made] == types
    assert (made[0].log_dir, Path(folder).is_dir()) == (folder, True)
    assert Path(made[0].save_dir, made[0].name, made[0].version) == Path(folder)  # where Lightning saves checkpoints


def test_loggers_that_write_to_a_folder_get_the_name_of_the_run_as_their_version():
    trainer, built = configure(SERVICE, CSV, (CSVLogger, {"version": 3}), BOARD, listed=True, root="root")
    made = make_loggers(trainer, built, None, "shop")
    assert [logger.log_dir for logger in made] == [
        "root/lightning_logs/shop",
        None,
        "logs/lightning_logs/shop",
        "logs/lightning_logs/version_3",
        "logs/lightning_logs/shop",
    ]


def test_loggers_of_a_resumed_run_continue_in_its_folder_also_if_it_was_moved():
    for loggers in ([], [CSV], [BOARD], [SERVICE]):
        made = make_loggers(*configure(*loggers), Path("moved/runs/version_4"), None)
        assert {logger.log_dir for logger in made} - {None} == {"moved/runs/version_4"}
    assert not Path("moved").exists()


def test_folder_that_exists_is_never_used_for_a_new_run():
    trainer, built = configure((CSVLogger, {"version": "a"}))
    make_loggers(trainer, built, None, None)
    with pytest.raises(UserError, match=r"^logs/lightning_logs/a exists already: choose another name for the run$"):
        make_loggers(trainer, built, None, None)


def test_name_that_is_given_twice_is_refused():
    with pytest.raises(
        SettingError, match=r"^--name shop: the run is named by --trainer.logger.version version_7 already"
    ):
        find_place(configure((TensorBoardLogger, {"version": 7}))[0], "shop")


@pytest.mark.parametrize(
    ("logger", "fast", "keeps"),
    [(None, False, True), (True, False, True), (False, False, False), ([], False, False), (None, True, False)],
)
def test_run_without_a_logger_or_of_fast_dev_run_has_no_folder(logger, fast, keeps):
    assert keeps_run(Namespace(logger=logger, fast_dev_run=fast)) is keeps


def test_run_with_a_service_as_its_logger_has_all_files_and_is_resumed_in_its_folder(run):
    options = ("--allow_import=helpers", "--trainer.logger=helpers.user_parts.Service")
    printed = run(*TWO_EPOCHS, *options)
    assert "run: lightning_logs/version_0" in printed
    assert "curves" not in printed
    names = [".lock", "checkpoints", "config.yaml", "hparams.yaml", "results.json"]
    assert sorted(path.name for path in (LOGS / "version_0").iterdir()) == names
    assert sorted(path.name for path in (LOGS / "version_0" / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    run("fit", "--ckpt_path=last", "--allow_import=helpers", "--trainer.max_epochs=3", "--pictures=false")
    assert [path.name for path in LOGS.iterdir()] == ["version_0"]
    assert len(json.loads((LOGS / "version_0" / "results.json").read_text())["epochs"]) == 3


def read_points(run_dir: Path) -> set[tuple[str, int, str]]:
    """Return the points in the CSV file of a run, without the speed, which differs."""
    with (run_dir / "metrics.csv").open(newline="") as file:
        cells = [(tag, int(row["step"]), cell) for row in csv.DictReader(file) for tag, cell in row.items() if cell]
    return {cell for cell in cells if cell[0] not in ("step", "mine-speed/images_per_second")}


def test_csv_and_tensorboard_of_a_resumed_run_are_those_of_an_uninterrupted_one(run):
    csv_logger = ("--trainer.logger+=CSVLogger", "--trainer.logger.save_dir=.", "--trainer.logger.prefix=mine")
    options = (*TWO_EPOCHS, *csv_logger, "--trainer.val_check_interval=8", "--trainer.limit_train_batches=16")
    assert "curves: tensorboard --host localhost --logdir lightning_logs" in run(*options)
    run(*options, "--trainer.max_steps=10")  # within the first epoch
    run("fit", "--ckpt_path=last", "--trainer.max_steps=-1")
    assert read_points(LOGS / "version_0") == read_points(LOGS / "version_1")
    once, twice = (read_events(LOGS / f"version_{i}") for i in (0, 1))
    tags = [tag for tag in once.Tags()["scalars"] if not tag.startswith("speed")]
    assert [[(point.step, point.value) for point in once.Scalars(tag)] for tag in tags] == [
        [(point.step, point.value) for point in twice.Scalars(tag)] for tag in tags
    ]


@pytest.mark.parametrize(("error", "code"), [(None, 0), (KeyboardInterrupt(), 1)])
def test_run_at_wandb_is_finished_with_the_run(monkeypatch, error, code):
    codes = []
    monkeypatch.setitem(sys.modules, "wandb", Namespace(finish=codes.append))
    logger = WandbLogger.__new__(WandbLogger)
    try:
        with finish_wandb([logger]):
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    with finish_wandb([]):
        pass
    assert codes == [code]
