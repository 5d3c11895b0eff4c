"""The table of runs."""

from pathlib import Path

import pytest

from classifier.analysis.results.run_table import format_table, make_table, sort_table, summarise_groups
from classifier.analysis.results.settings import MISSING
from classifier.errors import SettingError
from classifier.runs.summaries import RunSummary


def make_run(name: str, seed: int | None = 0, metrics: dict | None = None, best: int | None = None, **settings):
    """Return the summary of a run with settings of the network."""
    named = {"seed_everything": seed, "threads": 1} | {f"model.{key}": value for key, value in settings.items()}
    return RunSummary(name, Path(name), named, seed, 2, best, metrics or {}, 1_234_567, "finished")


def test_table_has_the_differing_settings_and_all_metrics_and_no_empty_column():
    runs = [
        make_run("a", 3, {"accuracy/test": 0.5, "f1/test": 0.123456, "loss/test": 1.0}, lr=0.1, depth=5),
        make_run("b", None, {"accuracy/test": 1.0}, lr=0.25, depth=5, tta="mirror"),
    ]
    assert format_table(make_table(runs)).replace(MISSING, "-") == "\n".join(
        [
            "name  model.lr  model.tta  seed  epochs  accuracy/test  loss/test  f1/test    size  state",
            "a          0.1  -             3       2         50.00%     1.0000   0.1235  1.2 MB  finished",
            "b         0.25  mirror        -       2        100.00%          -        -  1.2 MB  finished",
        ]
    )


def test_model_data_learning_rate_and_batch_size_are_the_first_settings():
    first = {"trainer.x": 1, "data.batch_size": 1, "model.depth": 1, "model.lr": 1, "data": "A", "model": "A"}
    second = dict.fromkeys(first, "B")
    runs = [RunSummary("a", Path("a"), settings, 0, 1, None, {}, 1, "stopped") for settings in (first, second)]
    columns = make_table(runs).columns
    assert columns[1:7] == ["model", "data", "model.lr", "data.batch_size", "trainer.x", "model.depth"]


def test_settings_without_effect_are_shown_only_if_they_are_asked_for():
    runs = [RunSummary(name, Path(name), {"threads": len(name)}, 0, 1, None, {}, 1, "stopped") for name in ("a", "bb")]
    assert "threads" not in make_table(runs).columns
    assert make_table(runs, ["threads"]).columns[:2] == ["name", "threads"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("accuracy/val", ["c", "a", "version_10", "version_2"]),
        ("f1/test", ["a", "c", "version_10", "version_2"]),
        ("loss/val", ["a", "c", "version_10", "version_2"]),
        ("name", ["a", "c", "version_2", "version_10"]),
        ("seed", ["c", "version_2", "a", "version_10"]),
        ("model.lr", ["c", "version_2", "a", "version_10"]),
    ],
)
def test_table_is_sorted_by_a_column_with_the_best_first_and_missing_values_last(column, expected):
    runs = [
        make_run("version_10", None, lr=None),
        make_run("version_2", 5, lr=0.1),
        make_run("a", 10, {"accuracy/val": 0.5, "loss/val": 0.5, "f1/test": 0.9}, 1, lr="auto"),
        make_run("c", 1, {"accuracy/val": 0.6, "loss/val": 0.6, "f1/test": 0.8}, 1, lr=0.01),
    ]
    assert [row[0].value for row in sort_table(make_table(runs), column).rows] == expected


def test_unknown_column_is_refused_with_the_names_of_all_columns():
    table = make_table([make_run("a", metrics={"loss/test": 1.0})])
    with pytest.raises(
        SettingError, match=r"^--sort lr: give one of the columns name, seed, epochs, loss/test, size, state$"
    ):
        sort_table(table, "lr")


def test_settings_that_do_not_fit_on_the_terminal_are_named_below_the_table():
    runs = [make_run("a", lr=0.1, depth=3, width=8), make_run("b", lr=0.2, depth=4, width=9)]
    lines = format_table(make_table(runs), width=60).splitlines()
    assert lines[0].split() == ["name", "model.lr", "model.depth", "seed", "epochs", "size", "state"]
    assert lines[3:] == ["not shown: model.width (--output runs.csv contains all columns)"]
    assert max(map(len, lines[:3])) <= 60


def test_groups_have_the_mean_and_the_sample_standard_deviation_of_every_metric():
    groups = [
        [
            make_run("a", 0, {"accuracy/test": 0.5, "loss/test": 1.0}, lr=0.1),
            make_run("b", 1, {"accuracy/test": 0.7}, lr=0.1),
        ],
        [make_run("c", 0, {"accuracy/test": 0.25, "loss/test": 2.0}, lr=0.2)],
    ]
    assert format_table(summarise_groups(groups)).replace(MISSING, "-") == "\n".join(
        [
            "model.lr  seeds    accuracy/test  loss/test",
            "     0.1      2  60.00% ± 14.14%          -",
            "     0.2      1           25.00%     2.0000",
        ]
    )
