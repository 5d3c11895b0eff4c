"""`config.yaml`: what is written is read again as the same settings."""

import re
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import yaml
from helpers.default_objects import Thing
from helpers.lightning_parts import Part, list_parts
from helpers.runs import FIT_DIGITS, LOGS, get_weights
from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt

from classifier.cli.lightning_parser import LightningParser
from classifier.cli.parsing import allow_imports
from classifier.cli.save_config import is_same, list_settings, render_config
from classifier.errors import SettingError

CALLBACKS = [part for part in list_parts() if part.option == "callbacks"]
OTHERS = [part for part in list_parts() if part.option != "callbacks"]


@pytest.fixture(scope="module")
def parser():
    allow_imports(["helpers"])
    parser = LightningParser()
    parser.add_lightning_class_args(L.Trainer, "trainer")
    return parser


def read_again(parser: LightningParser, config: Namespace) -> list[tuple[str, Any]]:
    """Return all settings that differ after writing and reading, with their new values."""
    text = render_config(parser, config)
    assert "Unable to serialize" not in text
    again = dict(list_settings(parser.parse_string(text)))
    settings = dict(list_settings(config))
    return [(key, again.get(key)) for key in settings | again if not is_same(settings[key], again[key])]


def test_every_callback_of_lightning_is_written_and_read_again_unchanged(parser):
    callbacks = [value for part in CALLBACKS for value in part.settings["trainer"]["callbacks"]]
    assert len(callbacks) > 20
    assert read_again(parser, parser.parse_object({"trainer": {"callbacks": callbacks}})) == []


@pytest.mark.parametrize("part", OTHERS, ids=lambda part: part.name)
def test_every_other_class_of_lightning_is_written_and_read_again_unchanged(parser, part: Part):
    assert read_again(parser, parser.parse_object(part.settings)) == []


@pytest.mark.parametrize(
    ("name", "init_args"),
    [
        ("Timer", {"duration": {"hours": 1}}),  # jsonargparse writes the dictionary as a string
        ("Timer", {"duration": "00:00:01:00", "interval": "epoch"}),
        ("ModelCheckpoint", {"train_time_interval": "0:10:00", "dirpath": "a folder: 'x'"}),
        ("StochasticWeightAveraging", {"swa_lrs": [0.1, 1e-8], "device": "cuda"}),
        ("ModelPruning", {"pruning_fn": "l1_unstructured", "amount": 3}),
        ("RichProgressBar", {"console_kwargs": {"stderr": True, "tab_size": 1}}),
    ],
)
def test_arguments_are_written_and_read_again_unchanged(parser, name, init_args):
    config = parser.parse_object(Part("callbacks", f"lightning.pytorch.callbacks.{name}", init_args).settings)
    assert read_again(parser, config) == []


def test_default_arguments_that_are_objects_are_left_out_and_read_as_the_same_objects(parser):
    config = parser.parse_object(Part("callbacks", "helpers.default_objects.ManyDefaults", {"colour": "BLUE"}).settings)
    assert read_again(parser, config) == []
    (written,) = yaml.safe_load(render_config(parser, config))["trainer"]["callbacks"]
    assert written["init_args"].keys().isdisjoint({"thing", "function", "key", "device", "weights"})
    assert written["init_args"]["colour"] == "BLUE"


def test_argument_that_cannot_be_written_is_refused(parser):
    config = parser.parse_object(Part("callbacks", "helpers.default_objects.ManyDefaults", {}).settings)
    config.trainer.callbacks[0].init_args.thing = Thing()
    with pytest.raises(SettingError, match=re.escape("config.yaml cannot hold --trainer.callbacks.0.init_args.thing")):
        render_config(parser, config)


def test_run_with_callbacks_is_repeated_and_resumed_from_its_config(run):
    names = ("StochasticWeightAveraging", "Timer", "ModelPruning")
    callbacks = [part.settings["trainer"]["callbacks"][0] for part in CALLBACKS if part.name in names]
    Path("parts.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
    options = ("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2")
    run(*FIT_DIGITS, "--config", "parts.yaml", *options)
    run("fit", "--config", LOGS / "version_0" / "config.yaml")
    first, second = get_weights("version_0"), get_weights("version_1")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert "epoch 2/2" in run("fit", "--ckpt_path", LOGS / "version_1", "--trainer.max_epochs", "2")


def test_options_of_the_program_are_always_written_and_a_restricted_number_is_the_same_as_a_plain_one():
    parser = LightningParser()
    parser.add_argument("--seeds", type=PositiveInt, default=1)
    config = parser.parse_args(["--seeds=2"])
    config.seeds = 1
    assert yaml.safe_load(render_config(parser, config)) == {"seeds": 1}
    config.seeds = Thing()
    with pytest.raises(SettingError, match=r"config\.yaml cannot hold"):
        render_config(parser, config)
