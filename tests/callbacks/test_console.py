"""What a run prints: one line per epoch, and a summary."""

import re
from pathlib import Path

from helpers.file_data import TrainOnlyDigits, TrainValDigits, make_data

from classifier import ConsoleReporter, Digits, ResultsRecorder, TensorBoardReporter
from classifier.callbacks.epoch_metrics import get_epoch_metrics


def list_epoch_lines(printed: str) -> list[str]:
    """Return the lines of the epochs."""
    return [line for line in printed.splitlines() if line.startswith("epoch")]


def test_run_prints_one_line_per_epoch_then_classes_and_folder_and_tensorboard_command(train, capsys):
    train(2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "MLP with 50,826 parameters on Digits (1,437 train, 360 test images), 1 x cpu"
    metrics = r"loss \d\.\d{4} accuracy \d+\.\d%"
    for number, line in enumerate(lines[1:3], start=1):
        assert re.fullmatch(rf"epoch {number}/2  train {metrics}  test {metrics}  \d+\.\d s", line)
    assert [cell for line in lines[5:7] for cell in line.split()[::2]] == list("0123456789")
    assert lines[-2].startswith("run: ")
    assert re.fullmatch(r"curves: tensorboard --host localhost --logdir \S+", lines[-1])


def test_line_of_an_epoch_has_the_metrics_of_every_split(train, capsys):
    values = train(1, Digits(val_split=100)).callback_metrics
    parts = [
        f"{split} loss {values[f'loss/{split}']:.4f} accuracy {values[f'accuracy/{split}']:.1%}"
        for split in ("train", "val", "test")
    ]
    (line,) = list_epoch_lines(capsys.readouterr().out)
    assert line.startswith("  ".join(["epoch 1/1", *parts]))


def test_epoch_without_evaluation_has_only_training_metrics(train, capsys):
    train(1, limit_val_batches=0)
    assert re.search(r"^epoch 1/1  train loss \d\.\d+ accuracy \S+  \d", capsys.readouterr().out, re.MULTILINE)


def test_metrics_of_an_earlier_epoch_are_not_printed_again(train, capsys):
    train(3, check_val_every_n_epoch=2)
    lines = list_epoch_lines(capsys.readouterr().out)
    assert ["test loss" in line for line in lines] == [False, True, False]


def test_number_of_images_is_printed_if_only_a_part_of_the_split_is_scored(train, capsys):
    train(1, limit_val_batches=1, data=Digits(test_batch_size=250))
    assert re.search(r"test loss \S+ accuracy \S+ of 250 images", capsys.readouterr().out)


def test_run_without_a_number_of_epochs_prints_the_number_of_the_epoch_alone(train, capsys):
    train(-1, max_steps=46, callbacks=[ConsoleReporter()])
    assert [line.split("  ")[0] for line in list_epoch_lines(capsys.readouterr().out)] == ["epoch 1", "epoch 2"]


def test_line_of_an_epoch_that_ends_early_has_its_number_of_batches(train, capsys):
    train(2, max_steps=24, callbacks=[ConsoleReporter()])
    lines = [line.split("  ")[0] for line in list_epoch_lines(capsys.readouterr().out)]
    assert lines == ["epoch 1/2", "epoch 2/2 (1 of 23 batches)"]


def test_accuracy_by_class_is_that_of_the_validation_images_if_there_are_no_test_images(train, capsys):
    train(1, make_data(TrainValDigits), callbacks=[ConsoleReporter()])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "MLP with 50,826 parameters on TrainValDigits (200 train, 60 val images), 1 x cpu"
    assert "val accuracy by class" in lines
    train(1, make_data(), callbacks=[ConsoleReporter()])
    printed = capsys.readouterr().out
    assert "\ntest accuracy by class\n" in printed
    assert "val accuracy by class" not in printed


def test_training_without_images_to_evaluate_is_reported(train, capsys):
    trainer = train(
        2, make_data(TrainOnlyDigits), callbacks=[ConsoleReporter(), ResultsRecorder(), TensorBoardReporter()]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "the network is not evaluated: there are neither validation nor test images"
    assert re.fullmatch(r"epoch 2/2  train loss \S+ accuracy \S+  \d+\.\d s", lines[3])
    assert lines[4:6] == ["", f"run: {Path(trainer.log_dir).relative_to(Path.cwd())}"]


def test_bar_shows_the_running_loss_and_the_time_left_for_the_run(train, monkeypatch):
    shown = []
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    console = ConsoleReporter()
    monkeypatch.setattr(console.time_left, "estimate", lambda _: 75.0)
    show = console.get_metrics
    monkeypatch.setattr(console, "get_metrics", lambda *args: shown.append(show(*args)) or shown[-1])
    trainer = train(1, callbacks=[console], log_every_n_steps=20)
    loss = get_epoch_metrics(trainer).running_loss.points[0][1]
    assert shown[-1] == {"loss": f"{loss:.4f}", "left": "01:15"}
    assert console.train_progress_bar.bar_format.count("remaining") == 0
