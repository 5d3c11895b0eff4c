"""Train with several seeds or values of options, and print a table of the results."""

import argparse
import gc
import itertools
import os
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from classifier.analysis.results.run_table import format_table, make_table, summarise_groups
from classifier.errors import DivergenceError, UserError, one_line, require
from classifier.hparams import check_limit, within
from classifier.runs.history import LOGS
from classifier.runs.summaries import read_summary

MAX_RUNS = 10_000
# Options that do not describe a run.
NOT_SWEPT = ("sweep", "seeds", "name", "ckpt_path", "allow_import", "print_config", "help", "h")
BRACKETS = {"[": "]", "{": "}", "(": ")"}


class PlannedRun(NamedTuple):
    """A run of a sweep: what distinguishes it from the others, its combination of values, and its command line."""

    title: str
    group: int
    argv: list[str]


def train_runs(argv: list[str], configure: Callable[[list[str]], Any]) -> None:
    """Train the runs of a command line: one or, with `--seeds` and `--sweep`, several of them.

    Args:
        argv: Command-line arguments after "fit".
        configure: Function that returns a ClassifierCLI for the command line of a run.

    Raises:
        UserError: An option is wrong, or a run fails.
    """

    def train(command: list[str]) -> Path:
        cli = configure(command)
        cli.run_trainer(cli.trainer.fit)
        return Path(os.path.relpath(cli.trainer.log_dir or "."))

    combinations = list_combinations(argv)
    cli = configure(add_values(argv, combinations[0]))
    if not cli.is_sweep:
        cli.run_trainer(cli.trainer.fit)
        return
    del cli
    shown = [name for name in combinations[0] if name != "seed_everything"]  # which has a column anyway
    train_all(train, plan_runs(argv, combinations, configure), shown)


def list_combinations(argv: list[str]) -> list[dict[str, str]]:
    """Return all combinations of the values that `--sweep` gives to options; without `--sweep`, there is an empty one.

    Args:
        argv: Command-line arguments after "fit".

    Returns:
        Values by the name of the option, such as {"model.lr": "0.1"}. A network or dataset comes before its options.

    Raises:
        SettingError: A `--sweep` is not of the form NAME=VALUE,VALUE, or sets an option that is also set otherwise.
    """
    swept: dict[str, list[str]] = {}
    for text in read_option(argv, "sweep"):
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--").replace(".init_args.", ".")
        example = "give an option and its values, such as --sweep model.lr=0.03,0.1"
        require(bool(name and equals and values.strip()), f"--sweep {text}: {example}")
        require(name not in NOT_SWEPT, f"--sweep {text}: runs of a sweep cannot differ in --{name}")
        require(name not in swept, f"--sweep {text}: --sweep {name} is given twice; give all values together")
        require(not is_given(argv, name), f"--sweep {text}: --{name} is also given by itself; leave out one of them")
        swept[name] = split_values(values)
        repeated = len(set(swept[name])) < len(swept[name])
        require("" not in swept[name] and not repeated, f"--sweep {text}: a value is missing or given twice; {example}")
    names = sorted(swept, key=lambda name: name.count("."))
    combinations = [
        dict(zip(names, values, strict=True)) for values in itertools.product(*(swept[name] for name in names))
    ]
    check_limit("the number of combinations of --sweep", len(combinations), within(1, MAX_RUNS))
    return combinations


def read_option(argv: list[str], name: str) -> list[str]:
    """Return all values that command-line arguments give to an option, in their order."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument(f"--{name}", action="append", default=[])
    try:
        return vars(parser.parse_known_args(argv)[0])[name]
    except argparse.ArgumentError:  # without a value, which the command's own parser reports
        return []


def is_given(argv: list[str], name: str) -> bool:
    """Return whether command-line arguments set an option; recipes and other files do not count."""
    given = {argument.partition("=")[0].replace(".init_args.", ".") for argument in argv}
    return f"--{name}" in given


def split_values(text: str) -> list[str]:
    """Return the values in a text that are separated by commas, except for commas in brackets and in quotes."""
    values, expected, quote = [""], "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and not values[-1].strip():
            quote = character
        elif character in BRACKETS:
            expected = BRACKETS[character] + expected
        elif character == expected[:1]:
            expected = expected[1:]
        elif character == "," and not expected:
            values.append("")
            continue
        values[-1] += character
    return [re.sub(r"^(['\"])(.*)\1$", r"\2", value.strip()) for value in values]


def add_values(argv: list[str], values: dict[str, str]) -> list[str]:
    """Return the command line of a combination of values. They come first, because a class resets its arguments.

    With `--name`, the name of the run contains the values.
    """
    names = read_option(argv, "name")
    words = [name.rpartition(".")[2] + re.sub(r"[^\w.+-]+", "-", value).strip("-") for name, value in values.items()]
    named = [f"--name={'_'.join([names[-1], *words])}"] if names and values else []
    return [*(f"--{name}={value}" for name, value in values.items()), *argv, *named]


def plan_runs(
    argv: list[str], combinations: Sequence[dict[str, str]], configure: Callable[[list[str]], Any]
) -> list[PlannedRun]:
    """Return the runs of a sweep. All of them are configured, so a wrong value is refused before the first run.

    Args:
        argv: Command-line arguments after "fit".
        combinations: Values by the name of the option.
        configure: Function that returns a ClassifierCLI for a command line: its attribute `runs` contains the
            additional options of every run by seed, and `name` is the name of the first run or None.

    Raises:
        SettingError: A value is wrong, or several runs would have the same name.
    """
    plan, names = [], set()
    for group, values in enumerate(combinations):
        command = add_values(argv, values)
        configured = configure(command)
        require(
            configured.name is None or configured.name not in names,
            f"several runs would be called {configured.name}: give --name on the command line, and other values",
        )
        names.add(configured.name)
        settings = [f"{name} {value}" for name, value in values.items()]
        for seed, options in configured.runs.items():
            title = ", ".join([*settings, *([f"seed {seed}"] if len(configured.runs) > 1 else [])])
            plan.append(PlannedRun(title, group, [*command, *options]))
    return plan


def train_all(train: Callable[[list[str]], Path], plan: Sequence[PlannedRun], shown: Sequence[str] = ()) -> None:
    """Train the runs of a sweep, one after the other, and print a table of them.

    A run whose loss is no longer finite is reported, and the others are trained nevertheless.

    Args:
        train: Function that trains with a command line and returns the folder of the run.
        plan: The runs.
        shown: Names of settings to show in the table although they have no effect on the results.

    Raises:
        UserError: A run fails for another reason, or all of them fail.
    """
    folders: dict[int, list[Path]] = {}
    for number, run in enumerate(plan, start=1):
        gc.collect()  # frees the data of the previous run
        print(f"{chr(10) * (number > 1)}run {number} of {len(plan)}: {run.title}", flush=True)
        try:
            folders.setdefault(run.group, []).append(train(run.argv))
        except DivergenceError as error:
            warnings.warn(f"run {number} of {len(plan)} ({run.title}) failed: {one_line(error)}", stacklevel=2)
    if not any(folders.values()):
        raise UserError("all runs failed, so there is no table")
    print("\n" + format_runs(list(folders.values()), shown))


def format_runs(groups: Sequence[Sequence[Path]], shown: Sequence[str] = ()) -> str:
    """Return a table of runs and, if several of them differ in their seed only, their mean and standard deviation.

    Args:
        groups: Folders of the runs with the same settings, except for the seed.
        shown: Names of settings to show although they have no effect on the results.

    Raises:
        UserError: A `results.json` is damaged.
    """
    runs = [
        [read_summary(run, run.name if run.parent == Path(LOGS) else str(run)) for run in group] for group in groups
    ]
    text = format_table(make_table([run for group in runs for run in group], shown))
    if max(map(len, runs)) > 1:
        text += f"\n\nmean and standard deviation\n{format_table(summarise_groups(runs, shown))}"
    return text
