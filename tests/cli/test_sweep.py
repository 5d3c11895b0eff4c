"""`--seeds` and `--sweep`: several runs by one command, and their table."""

import statistics
from pathlib import Path

import pytest
import yaml
from helpers.run_folders import write_run
from helpers.runs import FIT_DIGITS, LOGS, read_results
from jsonargparse import Namespace

from classifier.cli.sweep import (
    PlannedRun,
    add_values,
    format_runs,
    list_combinations,
    plan_runs,
    split_values,
    train_all,
)
from classifier.errors import DivergenceError, SettingError, UserError

FIT = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=2")


def read_last(name: str) -> tuple[int, dict]:
    """Return the seed of a run and the results of its last epoch."""
    results = read_results(name)
    return results["seed"], results["epochs"][-1]


@pytest.mark.slow
def test_seeds_and_values_are_trained_in_all_combinations_and_end_in_one_table(run):
    sweep = ("--sweep=model.lr=0.1,0.5", "--seeds=2", "--seed_everything=4")
    printed = run(*FIT, "--data.val_split=101", *sweep).splitlines()
    titles = [line for line in printed if line.startswith("run ") and " of 4" in line]
    settings = [(lr, seed) for lr in (0.1, 0.5) for seed in (4, 5)]
    assert titles == [
        f"run {number} of 4: model.lr {lr}, seed {seed}" for number, (lr, seed) in enumerate(settings, start=1)
    ]
    accuracies = []
    for number, (lr, seed) in enumerate(settings):
        config = yaml.safe_load((LOGS / f"version_{number}" / "config.yaml").read_text())
        assert (config["model"]["init_args"]["lr"], config["seed_everything"]) == (lr, seed)
        assert (config["seeds"], config["sweep"]) == (1, [])
        accuracies.append(read_last(f"version_{number}")[1]["accuracy/val"])
        row = printed[number - 9].split()
        assert row[:3] == [f"version_{number}", str(lr), str(seed)]
        assert f"{accuracies[-1]:.2%}" in row
    assert printed[-4] == "mean and standard deviation"
    mean, deviation = statistics.mean(accuracies[2:]), statistics.stdev(accuracies[2:])
    assert printed[-1].startswith(f"     0.5      2  {mean:.2%} ± {deviation:.2%}")


def test_run_of_a_sweep_is_repeated_from_its_config(run):
    printed = run(*FIT, "--sweep=model.lr=0.1,0.5").splitlines()
    assert [line.split()[:2] for line in printed[-3:]] == [
        ["name", "model.lr"],
        ["version_0", "0.1"],
        ["version_1", "0.5"],
    ]
    run("fit", "--config", "lightning_logs/version_1/config.yaml")
    alone, swept = read_last("version_2")[1], read_last("version_1")[1]
    same = [tag for tag in swept if tag.startswith(("loss", "accuracy"))]
    assert {tag: alone[tag] for tag in same} == {tag: swept[tag] for tag in same}


def test_plan_has_the_runs_of_all_seeds_of_a_combination_together():
    configured = Namespace(runs={4: ["--seed_everything=4"], 5: ["--seed_everything=5"]}, name=None)
    plan = plan_runs(["x"], [{"model.lr": "1"}, {"model.lr": "2"}], lambda _: configured)
    assert plan[1:3] == [
        PlannedRun("model.lr 1, seed 5", 0, ["--model.lr=1", "x", "--seed_everything=5"]),
        PlannedRun("model.lr 2, seed 4", 1, ["--model.lr=2", "x", "--seed_everything=4"]),
    ]
    assert len(plan) == 4


@pytest.mark.parametrize(
    ("option", "conflict"),
    [
        ("--seeds=2", "--seed_everything=false"),
        ("--seeds=2", "--trainer.fast_dev_run=true"),
        ("--seeds=2", "--trainer.logger=false"),
        ("--seeds=2", "--trainer.devices=2"),
        ("--sweep=model.lr=0.1,0.2", "--trainer.fast_dev_run=true"),
        ("--sweep=model.lr=0.1,0.2", "--trainer.logger=false"),
    ],
)
def test_sweep_that_could_not_end_with_a_table_is_refused_before_training(fail, option, conflict):
    status, line = fail(*FIT, "--trainer.accelerator=cpu", option, conflict)
    assert (status, option.partition("=")[0] in line, "leave out" in line) == (2, True, True), line
    assert not LOGS.exists()


def test_sweep_of_a_run_to_resume_is_refused_for_that_reason(run, fail):
    run(*FIT)
    status, line = fail(*FIT, "--ckpt_path=last", "--sweep=model.lr=0.1,0.2")
    assert (status, "--sweep starts whole runs from a seed: leave out --ckpt_path" in line) == (2, True), line


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("model.lr=0.1,-1", "lr must be above 0, not -1.0"),
        ("model.lr=0.1,x", "--model: lr: Expected a float. Got value: x"),
        ("model.lrr=0.1", "--model.lrr does not exist; did you mean --model.lr?"),
        ("model=MLP,CN", "--model: CN is none of "),
    ],
)
def test_wrong_value_is_refused_before_the_first_run(fail, sweep, message):
    status, line = fail(*FIT, "--sweep", sweep)
    assert (status, message in line) == (2, True), line
    assert not LOGS.exists()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.03,0.1", ["0.03", "0.1"]),
        (" a , b", ["a", "b"]),
        ("[64,32],[8]", ["[64,32]", "[8]"]),
        ("{a: [1,2], b: 3},null", ["{a: [1,2], b: 3}", "null"]),
        ("'a,b',c", ["a,b", "c"]),
        ("it's,b", ["it's", "b"]),
        ("a=b,c=d", ["a=b", "c=d"]),
        ("x", ["x"]),
    ],
)
def test_values_are_separated_by_commas_outside_of_brackets_and_quotes(text, values):
    assert split_values(text) == values


def test_class_is_set_before_its_arguments_and_all_before_the_other_options():
    argv = ["--sweep", "model.lr=0.1,0.2", "--sweep=--model=MLP,CNN", "--threads=1"]
    combinations = list_combinations(argv)
    assert combinations == [
        {"model": "MLP", "model.lr": "0.1"},
        {"model": "MLP", "model.lr": "0.2"},
        {"model": "CNN", "model.lr": "0.1"},
        {"model": "CNN", "model.lr": "0.2"},
    ]
    assert add_values(argv, combinations[3]) == ["--model=CNN", "--model.lr=0.2", *argv]
    assert list_combinations(["--threads=1"]) == [{}]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--sweep=model.lr"], "give an option and its values, such as"),
        (["--sweep=model.lr="], "give an option and its values, such as"),
        (["--sweep==1"], "give an option and its values, such as"),
        (["--sweep=model.lr=0.1,,0.2"], "a value is missing or given twice"),
        (["--sweep=model.lr=0.1,0.1"], "a value is missing or given twice"),
        (["--sweep=seeds=1,2"], "runs of a sweep cannot differ in --seeds"),
        (["--sweep=model.lr=1,2", "--sweep=model.init_args.lr=3"], "--sweep model.lr is given twice"),
        (["--sweep=model.lr=1,2", "--model.init_args.lr", "3"], "--model.lr is also given by itself"),
        ([f"--sweep=a{i}={','.join(map(str, range(10)))}" for i in range(5)], "must be from 1 to 10,000, not 100000"),
    ],
)
def test_wrong_form_of_a_sweep_is_refused(argv, message):
    with pytest.raises(SettingError, match=message):
        list_combinations(argv)


def test_sweep_in_a_file_is_refused(fail):
    Path("sweep.yaml").write_text("sweep: [model.lr=1]\n")
    message = "sweep belongs on the command line, not in a configuration file"
    assert fail(*FIT, "--config=sweep.yaml") == (2, f"python -m classifier: error: {message}")


def test_name_of_a_run_contains_its_values_and_is_unique():
    argv = ["--name", "shop", "--sweep=data.root=a/b,a-b"]
    combinations = list_combinations(argv)
    assert add_values(argv, combinations[0])[-1] == "--name=shop_roota-b"
    configured = Namespace(runs={0: ["--seed_everything=0"]}, name="shop_roota-b")
    with pytest.raises(SettingError, match="several runs would be called shop_roota-b"):
        plan_runs(argv, combinations, lambda _: configured)


def test_run_that_diverges_is_reported_and_the_others_are_trained():
    def train(argv: list[str]) -> Path:
        if argv == ["1"]:
            raise DivergenceError("the train loss is not finite")
        return write_run(LOGS / f"run_{argv[0]}", [{"loss/test": float(argv[0])}])

    plan = [PlannedRun(f"model.lr {number}", number, [str(number)]) for number in range(3)]
    with pytest.warns(UserWarning, match=r"^run 2 of 3 \(model\.lr 1\) failed: the train loss is not finite$"):
        train_all(train, plan)
    with pytest.warns(UserWarning, match="failed"), pytest.raises(UserError, match="all runs failed"):
        train_all(train, plan[1:2])


def test_table_has_a_row_per_run_and_a_second_one_has_mean_and_standard_deviation():
    first = write_run(LOGS / "a", [{"accuracy/test": 0.1}, {"accuracy/test": 0.5, "loss/test": 1.0}], seed=3)
    second = write_run(Path("b"), [{"accuracy/test": 0.7, "loss/test": 1.5}], seed=4)
    assert [line.split() for line in format_runs([[first, second]]).splitlines()] == [
        ["name", "seed", "epochs", "accuracy/test", "loss/test", "size", "state"],
        ["a", "3", "2", "50.00%", "1.0000", *format_runs([[first]]).split()[-3:]],
        ["b", "4", "1", "70.00%", "1.5000", *format_runs([[second]]).split()[-3:]],
        [],
        ["mean", "and", "standard", "deviation"],
        ["seeds", "accuracy/test", "loss/test"],
        ["2", "60.00%", "±", "14.14%", "1.2500", "±", "0.3536"],
    ]


def test_damaged_results_are_refused_with_the_name_of_the_file():
    folder = write_run(Path("b"))
    (folder / "results.json").write_text("{")
    with pytest.raises(UserError, match=r"^b/results\.json is damaged"):
        format_runs([[folder]])
