"""The best evaluation of a run."""

import json
import shutil
from pathlib import Path

from helpers.runs import FIT_DIGITS, load_last, read_results

from classifier import Digits, ResultsRecorder
from classifier.callbacks.best_evaluation import Evaluation, choose_better, read_best
from classifier.callbacks.epoch_metrics import get_epoch_metrics

SPLIT = (*FIT_DIGITS, "--data.val_split=100", "--model.hidden_sizes=[8]")
STILL = ("--model.lr=1e-9", "--model.momentum=0")  # the network, and therefore its accuracy, does not change


def make(epoch: int, **values: float) -> Evaluation:
    """Return an evaluation with the given accuracies by split."""
    return Evaluation(epoch, epoch, {f"accuracy/{split}": value for split, value in values.items()}, {})


def test_first_of_equal_evaluations_is_the_best_and_test_images_do_not_count():
    first, second, third = make(1, val=0.5, test=0.1), make(2, val=0.5, test=0.9), make(3, val=0.6)
    assert choose_better(None, make(1, test=0.9)) is None
    assert choose_better(None, first) is first
    assert choose_better(first, second) is first
    assert choose_better(first, third) is third
    assert choose_better(first, make(4, test=1.0)) is first


def test_best_of_a_checkpoint_that_does_not_name_it_is_found_in_its_records():
    epochs = [
        {"epoch": 1, "accuracy/val": 0.5, "evaluations": [{"step": 3, "accuracy/val": 0.9, "loss/val": 0.1}]},
        {"epoch": 2, "accuracy/val": 0.8, "loss/test": None},
    ]
    best = read_best({"callbacks": {"ResultsRecorder": {"epochs": epochs}, "EpochMetrics": {}}})
    assert best == Evaluation(1, 3, {"accuracy/val": 0.9, "loss/val": 0.1}, {})
    assert read_best({}) is None


def test_results_name_the_best_epoch_with_its_metrics_and_its_checkpoint(run):
    run(*SPLIT, "--trainer.max_epochs=5", "--model.lr=0.5", "--trainer.limit_train_batches=9")
    results = read_results()
    best = max(results["epochs"], key=lambda epoch: epoch["accuracy/val"])
    tags = ["loss/val", "accuracy/val", "loss/test", "accuracy/test"]
    assert results["best"] == {
        **{"epoch": best["epoch"], "step": 9 * best["epoch"]},
        **{tag: best[tag] for tag in tags},
        "checkpoint": "checkpoints/best.ckpt",
    }
    assert best["epoch"] < 5, "choose settings with which the last epoch is not the best"
    assert load_last()["callbacks"]["EpochMetrics"]["best"]["epoch"] == best["epoch"]


def test_resumed_run_in_a_moved_folder_keeps_its_best_epoch(run):
    run(*SPLIT, "--trainer.max_epochs=1")
    shutil.move("lightning_logs/version_0", "lightning_logs/moved")
    best = Path("lightning_logs/moved/checkpoints/best.ckpt")
    before, results = best.read_bytes(), json.loads(Path("lightning_logs/moved/results.json").read_text())
    run("fit", "--ckpt_path=lightning_logs/moved", "--trainer.max_epochs=2", *STILL)
    assert best.read_bytes() == before
    assert json.loads(Path("lightning_logs/moved/results.json").read_text())["best"] == results["best"]
    assert Path("lightning_logs/moved/checkpoints/last.ckpt").is_file()


def test_run_that_continues_in_another_folder_has_its_own_best_epoch(run):
    run(*SPLIT, "--trainer.max_epochs=1")
    shutil.copy("lightning_logs/version_0/checkpoints/last.ckpt", "copy.ckpt")
    output = run(*SPLIT, "--ckpt_path=copy.ckpt", "--trainer.max_epochs=2", *STILL)
    assert read_results("version_1")["best"]["epoch"] == 2
    assert "best epoch: 2  val loss" in output
    assert "--ckpt_path lightning_logs/version_1/checkpoints/best.ckpt" in output


def test_second_fit_of_a_trainer_has_its_own_best_epoch(train):
    trainer = train(1, Digits(val_split=100), callbacks=[ResultsRecorder()])
    first, trainer.fit_loop.max_epochs = get_epoch_metrics(trainer).best, 2
    trainer.fit(trainer.lightning_module, Digits())
    assert first.epoch == 1
    assert get_epoch_metrics(trainer).best is None
