"""`--name`: names of runs."""

from pathlib import Path

import pytest
import yaml
from helpers.runs import FIT_DIGITS, LOGS
from jsonargparse import Namespace

from classifier.cli.run_names import check_name, list_runs, name_run
from classifier.errors import SettingError
from classifier.runs.folders import find_checkpoint

ONE_STEP = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=1")


def configure(name: str | None = "shop", seeds: int = 1, **trainer: object) -> Namespace:
    """Return a parsed configuration of `fit` with a name."""
    settings = {"logger": None, "fast_dev_run": False, "default_root_dir": None, **trainer}
    return Namespace(name=name, seeds=seeds, sweep=[], seed_everything=3, trainer=Namespace(**settings))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", ".hidden", "-x", "~", "~me", "a\0b", "a\nb", "x" * 201])
def test_name_that_is_not_that_of_a_visible_folder_is_refused(name):
    with pytest.raises(SettingError, match=r"^--name .* is not the name of a folder, such as shop$"):
        check_name(configure(name), is_resumed=False)


@pytest.mark.parametrize("name", ["last", "best", "version_0", "version_12"])
def test_name_that_means_another_run_is_refused(name):
    with pytest.raises(SettingError, match="means another run to --ckpt_path"):
        check_name(configure(name), is_resumed=False)


@pytest.mark.parametrize("name", ["#1", "[a]", "{a}", "2024-01-01"])
def test_name_that_ckpt_path_would_not_take_as_a_text_is_refused(name):
    with pytest.raises(SettingError, match="cannot be given to --ckpt_path, which takes it for YAML"):
        check_name(configure(name), is_resumed=False)


@pytest.mark.parametrize("name", ["shop", "Größe 2", "v1.0", "a b", "version_", "lastly", "$HOME", "null"])
def test_other_names_are_accepted(name):
    check_name(configure(name), is_resumed=False)


@pytest.mark.parametrize(
    ("config", "is_resumed", "message"),
    [
        (configure(logger=False), False, "without a logger, a run has no folder that could be named"),
        (configure(fast_dev_run=True), False, "without a logger, a run has no folder that could be named"),
        (configure(), True, "a resumed run keeps its name; leave out --name"),
    ],
)
def test_name_without_effect_is_refused(config, is_resumed, message):
    with pytest.raises(SettingError, match=message):
        check_name(config, is_resumed)


def test_name_that_is_taken_is_refused_before_any_seed_is_trained():
    Path("runs/lightning_logs/shop_seed4").mkdir(parents=True)
    with pytest.raises(SettingError, match=r"^runs/lightning_logs/shop_seed4 exists already: choose another --name$"):
        check_name(configure(seeds=2, default_root_dir="runs"), is_resumed=False)
    check_name(configure(seeds=1, default_root_dir="runs"), is_resumed=False)


def test_runs_of_several_seeds_have_the_seed_in_their_name_and_unnamed_ones_have_none():
    assert (name_run(configure()), name_run(configure(seeds=2)), name_run(configure(None, 2))) == (
        *("shop", "shop_seed3"),
        None,
    )
    assert list_runs(configure(seeds=2))[4] == ["--seed_everything=4", "--seeds=1", "--name=shop_seed4"]
    assert list_runs(configure(None, seeds=2))[4] == ["--seed_everything=4", "--seeds=1"]


def test_named_runs_are_found_by_their_names_which_are_not_in_their_settings(run, fail):
    run(*ONE_STEP, "--name=shop", "--seeds=2")
    assert sorted(path.name for path in LOGS.iterdir()) == ["shop_seed0", "shop_seed1"]
    config = LOGS / "shop_seed1" / "config.yaml"
    settings = yaml.safe_load(config.read_text())
    assert (settings["name"], settings["seed_everything"], settings["seeds"]) == (None, 1, 1)
    assert find_checkpoint("shop_seed0") == LOGS / "shop_seed0" / "checkpoints" / "last.ckpt"
    message = "lightning_logs/shop_seed1 exists already: choose another --name"
    assert fail("fit", "--config", config, "--name=shop_seed1") == (2, f"python -m classifier: error: {message}")
