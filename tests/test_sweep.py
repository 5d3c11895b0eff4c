"""Several seeds by one command."""

import json
import statistics
from pathlib import Path

import pytest
import yaml

FIT = ("fit", "--config=digits", "--pictures=false", "--trainer.max_epochs=1")


def read_last(name: str) -> tuple[int, dict]:
    """Return the seed of a run and its last epoch."""
    results = json.loads(Path("lightning_logs", name, "results.json").read_text())
    return results["seed"], results["epochs"][-1]


def test_a_sweep_is_the_runs_of_its_seeds_and_ends_in_their_mean_and_deviation(run):
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
def test_a_sweep_that_could_not_end_in_a_table_is_refused_before_anything_is_trained(fail, option):
    status, line = fail(*FIT, "--trainer.accelerator=cpu", "--seeds=2", option)
    assert (status, "--seeds" in line, "leave out" in line) == (2, True, True), line
    assert not Path("lightning_logs").exists()
