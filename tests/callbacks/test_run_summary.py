"""The last lines of a run."""

import re

from helpers.runs import FIT_DIGITS, read_results

from classifier import Digits

SHORT = ("--trainer.limit_train_batches=9", "--model.hidden_sizes=[8]")


def test_last_lines_are_those_of_the_best_epoch_whose_weights_are_kept(run):
    lines = run(*FIT_DIGITS, "--trainer.max_epochs=5", "--data.val_split=100", "--model.lr=0.5", *SHORT).splitlines()
    results = read_results()
    best = results["epochs"][results["best"]["epoch"] - 1]
    assert best["epoch"] < 5, "choose settings with which the last epoch is not the best"
    first = lines.index(next(line for line in lines if line.startswith("best epoch")))
    metrics = "  ".join(
        f"{split} loss {best[f'loss/{split}']:.4f} accuracy {best[f'accuracy/{split}']:.1%}"
        for split in ("val", "test")
    )
    assert lines[first] == f"best epoch: {best['epoch']}  {metrics}"
    assert lines[first + 1 : first + 3] == ["", f"test accuracy by class, epoch {best['epoch']}"]
    printed = re.findall(r"[\d.]+(?=%)", "".join(lines[first + 3 : first + 5]))
    assert printed == [f"{100 * value:.1f}" for value in best["accuracy_by_class/test"].values()]
    path = "lightning_logs/version_0/checkpoints/best.ckpt"
    assert lines[first + 5 :] == [
        "",
        "run: lightning_logs/version_0",
        "curves: tensorboard --host localhost --logdir lightning_logs",
        f"next: python -m classifier test --ckpt_path {path}  (also predict IMAGE, report, export)",
    ]
    command = lines[-1].removeprefix("next: python -m classifier ").partition("  (")[0]
    assert f"test loss {best['loss/test']:.4f}" in run(*command.split())


def test_run_without_validation_images_ends_with_its_last_epoch(run):
    lines = run(*FIT_DIGITS, "--trainer.max_epochs=1", *SHORT).splitlines()
    assert not any(line.startswith(("best", "stopped")) for line in lines)
    assert "test accuracy by class" in lines
    assert "--ckpt_path lightning_logs/version_0/checkpoints/last.ckpt" in lines[-1]


def test_commands_for_a_checkpoint_are_left_out_without_one(train, capsys):
    train(1, Digits(val_split=100), logger=False, limit_train_batches=1)
    lines = capsys.readouterr().out.splitlines()
    assert "test accuracy by class" in lines
    assert not any(line.startswith(("best", "run", "curves", "next")) for line in lines)
