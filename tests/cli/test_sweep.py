"""`--seeds`: several runs by one command, and their table."""

import json
import statistics
from pathlib import Path

import pytest
import yaml
from helpers.runs import FIT_DIGITS, LOGS, read_results

from classifier.cli.sweep import format_runs, train_remaining_seeds

FIT = (*FIT_DIGITS, "--trainer.max_epochs=1")


def read_last(name: str) -> tuple[int, dict]:
    """Return the seed of a run and the results of its last epoch."""
    results = read_results(name)
    return results["seed"], results["epochs"][-1]


def test_sweep_trains_the_run_of_every_seed_and_prints_mean_and_standard_deviation(run):
    printed = run(*FIT, "--data.val_split=101", "--seed_everything=4", "--seeds=2").splitlines()
    (first, four), (second, five) = read_last("version_0"), read_last("version_1")
    assert (first, second) == (4, 5)
    config = yaml.safe_load(Path("lightning_logs/version_1/config.yaml").read_text())
    assert (config["seed_everything"], config["seeds"]) == (5, 1)
    accuracies = [epoch["accuracy/test"] for epoch in (four, five)]
    losses = [epoch["loss/val"] for epoch in (four, five)]
    assert printed[-5].split() == ["2", "runs", "test", "accuracy", "test", "loss", "val", "accuracy", "val", "loss"]
    rows = [line.split() for line in printed[-4:]]
    assert rows[1][:3] == ["seed", "5", f"{accuracies[1]:.2%}"]
    assert rows[1][-1] == "lightning_logs/version_1"
    assert (rows[2][1], rows[3][2]) == (f"{statistics.mean(accuracies):.2%}", f"{statistics.stdev(accuracies):.2%}")
    assert (rows[2][-1], rows[3][-1]) == (f"{statistics.mean(losses):.4f}", f"{statistics.stdev(losses):.4f}")

    run("fit", "--config", "lightning_logs/version_1/config.yaml")
    alone = read_last("version_2")[1]
    same = [tag for tag in five if tag.startswith(("loss", "accuracy"))]
    assert {tag: alone[tag] for tag in same} == {tag: five[tag] for tag in same}


@pytest.mark.parametrize(
    "option",
    ["--seed_everything=false", "--trainer.fast_dev_run=true", "--trainer.logger=false", "--trainer.devices=2"],
)
def test_sweep_that_could_not_end_with_a_table_is_refused_before_training(fail, option):
    status, line = fail(*FIT, "--trainer.accelerator=cpu", "--seeds=2", option)
    assert (status, "--seeds" in line, "leave out" in line) == (2, True, True), line
    assert not LOGS.exists()


def write_results(run: Path, seed: int, epochs: list[dict]) -> None:
    """Write the results of a run."""
    run.mkdir()
    numbered = [{"epoch": number, **epoch} for number, epoch in enumerate(epochs, 1)]
    (run / "results.json").write_text(json.dumps({"seed": seed, "epochs": numbered}))


def test_table_has_a_row_per_run_and_the_columns_that_every_run_has():
    first, second = Path("a"), Path("b")
    write_results(first, 3, [{"accuracy/test": 0.1}, {"accuracy/test": 0.5, "loss/test": 1.0, "loss/val": 2.0}])
    write_results(second, 4, [{"accuracy/test": 0.7, "loss/test": 1.5, "loss/val": None}])
    assert format_runs([first, second]) == "\n".join(
        [
            "2 runs              test accuracy      test loss",
            "seed 3                     50.00%         1.0000  a",
            "seed 4                     70.00%         1.5000  b",
            "mean                       60.00%         1.2500",
            "standard deviation         14.14%         0.3536",
        ]
    )


def test_further_seeds_are_trained_in_order_after_the_first_run(capsys):
    write_results(Path("seed_7"), 7, [{"loss/test": 1.0}])
    trained = []

    def train(seed: int) -> Path:
        trained.append(seed)
        write_results(Path(f"seed_{seed}"), seed, [{"loss/test": float(seed)}])
        return Path(f"seed_{seed}")

    train_remaining_seeds(train, Path("seed_7"), range(8, 10))
    assert trained == [8, 9]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("seed") and line[-1].isdigit() and len(line) < 8] == [
        "seed 8",
        "seed 9",
    ]
    assert lines[-2].split() == ["mean", "6.0000"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seed": 1, "epochs": []}', '{"seed": 1, "epochs": [5]}', "\xff"])
def test_damaged_results_are_refused_with_the_name_of_the_file(content):
    write_results(Path("a"), 3, [{"loss/test": 1.0}])
    Path("b").mkdir()
    Path("b/results.json").write_text(content, encoding="latin1")
    with pytest.raises(ValueError, match=r"^b/results\.json is missing or damaged"):
        format_runs([Path("a"), Path("b")])
