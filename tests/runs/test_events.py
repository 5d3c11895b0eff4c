"""Points that a run logged after the checkpoint from which it is resumed."""

from pathlib import Path

import pytest
import torch
from helpers.runs import read_events
from torch.utils.tensorboard import SummaryWriter

from classifier.callbacks.loop_state import Position
from classifier.runs.events import remove_later_points, restore_points
from classifier.runs.logger import RunLogger

BY_STEP = ("loss/train_running", "loss/val_by_step")  # tags whose x axis is the number of optimizer steps


def write_points(folder: Path) -> None:
    """Write points of three epochs of 10 steps, evaluations every 5 steps, and a value of every step."""
    with SummaryWriter(str(folder)) as writer:
        for step in range(30):
            writer.add_scalar("mine", step / 10, step)
            if step % 5 == 4:
                writer.add_scalar("loss/train_running", step + 1, step + 1)
                writer.add_scalar("loss/val_by_step", step + 1, step + 1)
            if step % 10 == 9:
                writer.add_scalar("loss/test", 1.0, (step + 1) // 10)


def list_steps(folder: Path) -> dict[str, list[int]]:
    """Return the positions on the x axis of all points, by tag."""
    events = read_events(folder)
    return {tag: [point.step for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_points_after_the_position_of_the_checkpoint_are_removed(tmp_path):
    write_points(tmp_path)
    remove_later_points(tmp_path, Position(1, 5, evaluation_pending=False), steps=15)
    assert list_steps(tmp_path) == {"mine": list(range(15)), **{tag: [5, 10, 15] for tag in BY_STEP}, "loss/test": [1]}


def test_evaluation_that_is_still_due_at_the_checkpoint_is_removed(tmp_path):
    write_points(tmp_path)
    remove_later_points(tmp_path, Position(1, 5, evaluation_pending=True), steps=15)
    assert [list_steps(tmp_path)[tag] for tag in BY_STEP] == [[5, 10, 15], [5, 10]]


def test_files_without_later_points_are_not_written(tmp_path):
    write_points(tmp_path)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns, path.read_bytes()
    remove_later_points(tmp_path, Position(3, 0, evaluation_pending=False), steps=30)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_points_before_an_incomplete_record_at_the_end_of_a_file_are_kept(tmp_path):
    write_points(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    remove_later_points(tmp_path, Position(1, 0, evaluation_pending=False), steps=10)
    assert list_steps(tmp_path) == {"mine": list(range(10)), **{tag: [5, 10] for tag in BY_STEP}, "loss/test": [1]}


def test_points_of_epochs_in_the_checkpoint_that_are_missing_are_logged_again(tmp_path):
    logger = RunLogger(tmp_path, "", "", default_hp_metric=False)
    logger.log_metrics({"loss/test": 0.5, "lr": 0.1}, 1)
    logger.log_metrics({"loss/train_running": 0.5}, 5)
    logger.save()
    epochs = [
        {"epoch": 1, "loss/test": 0.5, "lr": 0.1},
        {"epoch": 2, "loss/test": 0.25, "lr": None, "evaluations": [{"step": 15, "loss/val": 0.75}]},
        {"epoch": 3, "loss/test": 0.125},
    ]
    running = {"steps": [5, 10], "losses": [0.5, 0.25], "loss_sum": 0.0, "num_images": 0.0}
    callbacks = {"ResultsRecorder": {"epochs": epochs}, "EpochMetrics": {"running_loss": running}}
    checkpoint = {"global_step": 20, "callbacks": callbacks}
    restore_points(logger, Position(2, 0, evaluation_pending=False), checkpoint)
    logger.finalize("success")
    events = read_events(tmp_path)
    points = {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert points == {
        "loss/test": [(1, 0.5), (2, 0.25)],
        "lr": [(1, pytest.approx(0.1))],
        "loss/val_by_step": [(15, 0.75)],
        "loss/train_running": [(5, 0.5), (10, 0.25)],
    }


def test_pictures_of_either_split_are_removed_by_the_number_of_epochs(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        for split in ("val", "test"):
            for epoch in (1, 2):
                writer.add_image(f"predictions/{split}", torch.zeros(1, 2, 2), epoch)
    remove_later_points(tmp_path, Position(1, 0, evaluation_pending=False), steps=10)
    events = read_events(tmp_path)
    steps = {tag: [image.step for image in events.Images(tag)] for tag in events.Tags()["images"]}
    assert steps == {"predictions/val": [1], "predictions/test": [1]}
