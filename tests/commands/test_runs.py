"""The command `runs`."""

import csv
import json
from pathlib import Path

import pytest
from helpers.run_folders import write_run
from helpers.runs import LOGS


def test_runs_of_a_folder_are_printed_sorted_and_written_to_a_csv_file(run):
    write_run(Path("mine", "a"), [{"accuracy/val": 0.5}, {"accuracy/val": 0.25}], model__lr=-1)
    write_run(Path("mine", "=b"), [{"accuracy/val": 0.75}], model__lr=1e-05, seed=2)
    Path("mine", "notes").mkdir()
    lines = run("runs", "mine", "--sort", "accuracy/val", "--output", "runs.csv").splitlines()
    assert [line.split()[:6] for line in lines[:3]] == [
        ["name", "model.lr", "seed", "epochs", "best_epoch", "accuracy/val"],
        ["=b", "1.0e-05", "2", "1", "1", "75.00%"],
        ["a", "-1", "0", "2", "1", "50.00%"],
    ]
    assert [line.split()[-1] for line in lines[1:3]] == ["stopped", "finished"]
    assert lines[3] == "not in the table: 1 folder, 1 without a run"
    with Path("runs.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["name", "model.lr", "seed", "epochs", "best_epoch", "accuracy/val", "size", "state"]
    assert [row[:6] for row in rows[1:]] == [["'=b", "1e-05", "2", "1", "1", "0.75"], ["a", "-1", "0", "2", "1", "0.5"]]


def test_runs_are_written_to_a_json_file_with_their_values(run):
    write_run(LOGS / "a", [{"loss/test": 0.12345678}], model__depth=[1, 2])
    write_run(LOGS / "b", [])
    run("runs", "--output", "runs.json")
    first, second = json.loads(Path("runs.json").read_text())
    assert (first["name"], first["model.depth"], first["loss/test"]) == ("a", [1, 2], 0.1234568)
    assert (second["name"], second["model.depth"], second["loss/test"]) == ("b", None, None)


def test_damaged_runs_are_named_in_one_line(run):
    write_run(LOGS / "good", [])
    for number in range(5):
        (write_run(LOGS / f"x{number}") / "config.yaml").write_text("a: [")
    logs = "lightning_logs"
    assert run("runs").splitlines()[2:] == [
        "not in the table: 5 folders, 5 with a damaged results.json or config.yaml "
        f"({logs}/x0, {logs}/x1, {logs}/x2 and 2 more)"
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere"], 1, "nowhere cannot be read: No such file or directory; give the folder that contains runs"),
        (["."], 1, "there is no run in .; did you mean lightning_logs?"),
        (["empty"], 1, "there is no run in empty"),
        (["lightning_logs/a"], 1, "there is no run in lightning_logs/a, but it is the folder of one; did you mean "
         "lightning_logs?"),
        (["damaged"], 1, "there is no run in damaged; not in the table: 1 folder, 1 with a damaged results.json or "
         "config.yaml (damaged/b)"),
        (["--sort", "lr"], 2, "--sort lr: give one of the columns name, seed, epochs, size, state"),
        (["--output", "runs.xlsx"], 2, "--output runs.xlsx: the table is written as CSV or JSON, so give the file a "
         "name that ends in .csv or .json, such as runs.csv"),
        (["--order", "lr"], 2, "unrecognized arguments: --order; python -m classifier runs --help lists the options"),
    ],
)  # fmt: skip
def test_errors_are_one_line(fail, arguments, status, message):
    write_run(LOGS / "a", [])
    Path("empty").mkdir()
    (write_run(Path("damaged", "b")) / "results.json").write_text("{")
    assert fail("runs", *arguments) == (status, f"python -m classifier: error: {message}")
