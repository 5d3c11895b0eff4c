"""Pictures as files in the folder of a run."""

import io
from pathlib import Path

import numpy as np
import pytest
from helpers.runs import read_events
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from classifier import ResultsRecorder, TensorBoardReporter
from classifier.callbacks.pictures import PictureFiles, render
from classifier.plots import plot_curves

FILES = ["confusion_matrix.png", "curves.png", "top_losses.png"]


def read(source: Path | bytes) -> np.ndarray:
    """Return the pixels (H, W, 3) of a picture in a file or in memory."""
    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
        return np.asarray(image.convert("RGB"))


def make_callbacks() -> list:
    """Return the callbacks that record and draw."""
    return [ResultsRecorder(), TensorBoardReporter()]


def test_files_are_the_pictures_in_tensorboard_and_the_curves_of_all_epochs(train):
    trainer = train(2, callbacks=make_callbacks())
    folder = Path(trainer.log_dir)
    assert sorted(path.name for path in folder.glob("*.png")) == FILES
    events = read_events(folder)
    for name in ("confusion_matrix", "top_losses"):
        assert np.array_equal(
            read(folder / f"{name}.png"), read(events.Images(f"{name}/test")[-1].encoded_image_string)
        )
    assert np.array_equal(read(folder / "curves.png"), render(plot_curves(trainer)))
    assert not list(folder.glob(".unfinished-*"))


def test_files_are_written_whatever_the_logger_is(train, tmp_path):
    train(1, callbacks=make_callbacks(), logger=CSVLogger(tmp_path, "csv"))
    assert sorted(path.name for path in (tmp_path / "csv" / "version_0").glob("*.png")) == FILES


def test_resumed_run_updates_the_files(train):
    trainer = train(1, callbacks=make_callbacks())
    trainer.save_checkpoint("last.ckpt")
    before = {name: (Path(trainer.log_dir) / name).read_bytes() for name in FILES}
    trainer.fit_loop.max_epochs = 2
    trainer.fit(trainer.lightning_module, trainer.datamodule, ckpt_path="last.ckpt", weights_only=True)
    assert all((Path(trainer.log_dir) / name).read_bytes() != content for name, content in before.items())


def test_files_are_drawn_during_training_only_if_that_takes_a_small_fraction_of_the_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("classifier.callbacks.pictures.time.perf_counter", lambda: now)
    files = PictureFiles(".")
    due = []
    for seconds in (14.0, 2.0):
        now += seconds
        due.append(files.are_due())
    with files.measure():
        now += 1.0
    for seconds in (49.0, 2.0):
        now += seconds
        due.append(files.are_due())
    assert due == [False, True, False, True]
    assert not PictureFiles(None).are_due()


def test_files_of_an_epoch_are_those_of_its_evaluation_and_tensorboard_has_only_the_last(train, monkeypatch):
    monkeypatch.setattr(PictureFiles, "are_due", lambda files: files.folder is not None)
    saved = []
    save = PictureFiles.save

    def record(files, name, pixels):
        saved.append(name)
        save(files, name, pixels)

    monkeypatch.setattr(PictureFiles, "save", record)
    trainer = train(2, callbacks=make_callbacks())
    assert saved == ["curves", "confusion_matrix", "top_losses"] * 3
    assert [image.step for image in read_events(trainer.log_dir).Images("confusion_matrix/test")] == [2]


def test_picture_of_errors_is_removed_when_there_are_none_left(tmp_path):
    files = PictureFiles(str(tmp_path / "run"))
    files.save("top_losses", np.zeros((2, 3, 3), np.uint8))
    assert read(tmp_path / "run" / "top_losses.png").shape == (2, 3, 3)
    files.remove("top_losses")
    files.remove("top_losses")
    assert not list((tmp_path / "run").iterdir())


def test_full_disk_is_a_warning_and_leaves_no_partial_file(train, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.warns(UserWarning, match="no more pictures are drawn: OSError"):
        trainer = train(1, callbacks=make_callbacks())
    assert not list(Path(trainer.log_dir).glob("*.png"))
    assert trainer.current_epoch == 1
