"""Options of the Trainer: 1 batch and all batches, values out of range, and options without effect."""

import inspect
import re
import typing
from pathlib import Path

import lightning as L
import lightning.pytorch.callbacks
import pytest
import yaml
from helpers.runs import FIT_DIGITS, LOGS, read_results
from jsonargparse import Namespace

from classifier.cli.lightning_parser import LightningParser
from classifier.cli.trainer_options import Trainer, check_trainer_options, check_typed_options, get_seconds
from classifier.errors import SettingError

ONE_EPOCH = (*FIT_DIGITS, "--trainer.max_epochs=1")
DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(L.Trainer).parameters.items()}
NAN = float("nan")


def count_images(run: str = "version_0") -> dict[str, int]:
    """Return the numbers of images that the last epoch of a run has used, by split."""
    return read_results(run)["epochs"][-1]["images_scored"]


def test_1_is_one_batch_and_1_0_is_all_batches_in_files_and_on_the_command_line(run):
    Path("one.yaml").write_text("trainer:\n  limit_train_batches: 1\n  limit_val_batches: 1.0\n")
    run(*ONE_EPOCH, "--config=one.yaml")
    assert count_images() == {"train": 64, "test": 360}
    config = LOGS / "version_0" / "config.yaml"
    settings = yaml.safe_load(config.read_text())["trainer"]
    assert [repr(settings[name]) for name in ("limit_train_batches", "limit_val_batches")] == ["1", "1.0"]
    options = ("--trainer.limit_train_batches=1.0", "--trainer.limit_val_batches", "1", "--data.test_batch_size=100")
    run("fit", "--config", config, *options)
    assert count_images("version_1") == {"train": 1437, "test": 100}
    options = ("--trainer.limit_test_batches", "1", "--data.test_batch_size=50", "--trainer.logger=false")
    assert "(50 images)" in run("test", "--ckpt_path=last", *options)


def list_counts_or_fractions(cls: type) -> list[str]:
    """Return the parameters of a constructor that take an int and a float."""
    hints = typing.get_type_hints(cls.__init__).items()
    names = [name for name, hint in hints if all(kind in typing.get_args(hint) for kind in (int, float))]
    return [name for name in names if name != "gradient_clip_val"]  # for which 1 and 1.0 are the same


def test_every_option_for_a_count_or_a_fraction_tells_1_from_1_0():
    parser = LightningParser()
    parser.add_lightning_class_args(Trainer, "trainer")
    names = list_counts_or_fractions(L.Trainer)
    assert {"limit_train_batches", "overfit_batches", "val_check_interval"} <= set(names)
    for name in names:
        for text in ("1", "1.0"):
            assert repr(parser.parse_args([f"--trainer.{name}={text}"]).trainer[name]) == text, name
    required = {"StochasticWeightAveraging": "swa_lrs=0.1", "ModelPruning": "pruning_fn=l1_unstructured"}
    for callback in lightning.pytorch.callbacks.__all__:
        for name in list_counts_or_fractions(getattr(lightning.pytorch.callbacks, callback)):
            arguments = [f"--trainer.callbacks={callback}", f"--trainer.callbacks.{required[callback]}"]
            for text in ("1", "1.0"):
                parsed = parser.parse_args([*arguments, f"--trainer.callbacks.{name}={text}"]).trainer.callbacks[0]
                assert repr(parsed.init_args[name]) == text, (callback, name)


def test_own_trainer_has_all_arguments_of_lightnings():
    parser, original = LightningParser(), LightningParser()
    parser.add_lightning_class_args(Trainer, "trainer")
    original.add_lightning_class_args(Trainer.__base__, "trainer")
    assert parser.get_defaults() == original.get_defaults()


INTERVAL = "val_check_interval must be a number of batches above 0, a fraction of an epoch above 0.0, or a time such as"
LIMITS = [
    ({"accumulate_grad_batches": 0}, "accumulate_grad_batches must be from 1 to 1,000,000,000,000, not 0"),
    ({"check_val_every_n_epoch": 0}, "check_val_every_n_epoch must be from 1 to 1,000,000,000,000, not 0"),
    *(({"val_check_interval": value}, INTERVAL) for value in (0, -1, 0.0, 1.5, NAN, "x", {"hours": -1}, {"years": 1})),
    *(({"devices": value}, "devices must be -1 for all, or from 1 to 256") for value in (0, -2, 10**6, "10000000")),
    *(({"num_nodes": value}, "num_nodes must be from 1 to 100,000") for value in (0, 10**22)),
    ({"log_every_n_steps": -1}, "log_every_n_steps must be from 0 to 1,000,000,000,000, not -1"),
    ({"max_epochs": 10**22}, "max_epochs must be above 0, or -1 for no limit, not 10000000000000000000000"),
    ({"max_steps": 0}, "max_steps must be above 0, or -1 for no limit, not 0"),
    *(
        ({"max_time": value}, "max_time must be a time above 0, such as")
        for value in ("00:00:00:00", "x", {"hours": -1})
    ),
    ({"barebones": True}, "barebones switches off the metrics and checkpoints of a run: leave it out"),
    ({"overfit_batches": None}, "overfit_batches must have a value, not null"),
    ({"min_epochs": 3, "max_epochs": 2}, "min_epochs must not be above trainer.max_epochs, 3 is above 2"),
    ({"min_steps": 3, "max_steps": 2}, "min_steps must not be above trainer.max_steps, 3 is above 2"),
    *(({"limit_val_batches": value}, "limit_val_batches must be a number of batches, or") for value in (-1, 1.5, NAN)),
    ({"overfit_batches": -0.5}, "overfit_batches must be a number of batches, or a fraction from 0.0 to 1.0 of them"),
    *(({"gradient_clip_val": value}, "gradient_clip_val must be from 0 to") for value in (-1, NAN, float("inf"))),
    ({"gradient_clip_algorithm": "norm"}, "gradient_clip_algorithm has no effect without trainer.gradient_clip_val"),
    ({"reload_dataloaders_every_n_epochs": -1}, "reload_dataloaders_every_n_epochs must be from 0 to"),
    ({"num_sanity_val_steps": -2}, "num_sanity_val_steps must be at least 0, or -1 for all batches, not -2"),
    *(({"default_root_dir": value}, "default_root_dir must be a local path, not") for value in ("s3://x/y", "a\0b")),
]


@pytest.mark.parametrize(("settings", "message"), LIMITS)
def test_setting_of_the_trainer_out_of_range_is_refused(settings, message):
    with pytest.raises(SettingError, match=re.escape(f"trainer.{message}")):
        check_trainer_options(Namespace({**DEFAULTS, **settings}), "fit")


@pytest.mark.parametrize(
    "settings",
    [
        *({"limit_train_batches": value} for value in (1, 1.0, 0.5, 5.0, 10**6)),  # 0.1 stored 5 batches as 5.0
        *({"val_check_interval": value} for value in (1, 1.0, 0.1, 1000, "00:00:10:00", {"minutes": 5})),
        *({"devices": value} for value in (1, -1, 8, "auto", "2", [0, 1])),
        *({"max_epochs": -1}, {"max_time": {"hours": 1}}, {"max_steps": -1, "min_steps": 5}, {"gradient_clip_val": 0}),
        *({"limit_train_batches": 0, "overfit_batches": 1}, {"limit_train_batches": 0, "fast_dev_run": True}),
    ],
)
def test_setting_of_the_trainer_in_its_range_is_accepted(settings):
    check_trainer_options(Namespace({**DEFAULTS, **settings}), "fit")


@pytest.mark.parametrize(("command", "split"), [("fit", "train"), ("validate", "val"), ("test", "test")])
def test_command_that_would_do_nothing_is_refused(command, split):
    for value in (0, 0.0):
        with pytest.raises(
            SettingError, match=f"limit_{split}_batches must be above 0, because {command} does nothing"
        ):
            check_trainer_options(Namespace({**DEFAULTS, f"limit_{split}_batches": value}), command)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed_everything=-1"], "seed_everything must be from 0 to 4,294,967,295, not -1"),
        (["--seeds=2", "--seed_everything=4294967295"], "seed_everything must be from 0 to 4,294,967,295"),
        (["--seeds=1000000000"], "seeds must be from 1 to 10,000, not 1000000000"),
        (["--threads=100000000000000000000"], "threads must be from 0 to 1,024, not 100000000000000000000"),
        (["--trainer.val_check_interval=1000"], "less than or equal to the number of the training batches (23)"),
        (["--trainer.devices=-1"], "`devices` selected with `CPUAccelerator` should be an int > 0."),
        (["--trainer.limit_train_batches=0.01"], "Please increase the `limit_train_batches` argument"),
        (["--data=s3://bucket/x"], "--data: s3://bucket/x is none of"),
        (["--data.root=s3://bucket/x"], "root must be a local path, not s3://bucket/x"),
        (["--data.drop_last=true", "--data.batch_size=5000"], "drop_last leaves no training batch"),
        (["--trainer.limit_predict_batches=1"], "--trainer.limit_predict_batches has no effect on fit: leave it out"),
        (["--trainer.limit_test_batches", "1"], "--trainer.limit_val_batches limits the evaluation after every epoch"),
    ],
)
def test_option_that_cannot_be_followed_is_refused_in_one_line_and_leaves_no_run(fail, options, message):
    status, line = fail(*ONE_EPOCH, *options)
    assert (status, message in line) == (2, True), line
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("command", "option"),
    [
        *(("test", "max_epochs=3"), ("test", "limit_val_batches=1"), ("test", "logger=CSVLogger")),
        *(("validate", "limit_test_batches=1"), ("validate", "logger.name=x")),
        *((command, "limit_predict_batches=0.5") for command in ("fit", "validate", "test")),
        *((command, "enable_checkpointing=true") for command in ("validate", "test")),
        *((command, "enable_model_summary=true") for command in ("validate", "test")),
        *((command, "sync_batchnorm=true") for command in ("validate", "test")),
    ],
)
def test_trainer_option_without_effect_on_a_command_is_refused(command, option):
    with pytest.raises(SettingError, match=f"has no effect on {command}: leave it out"):
        check_typed_options(command, [f"--trainer.{option}"])


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_option_that_no_command_uses_is_refused_unless_it_has_the_value_that_holds_anyway(command):
    with pytest.raises(SettingError, match=f"model_registry has no effect on {command}: checkpoints are local files"):
        check_typed_options(command, ["--trainer.model_registry", "mine"])
    with pytest.raises(SettingError, match=f"use_distributed_sampler has no effect on {command}: every process always"):
        check_typed_options(command, ["--trainer.use_distributed_sampler=false"])
    check_typed_options(command, ["--trainer.use_distributed_sampler=true", "--trainer.model_registry=null"])


@pytest.mark.parametrize(
    ("duration", "seconds"), [("01:00:00:02", 86402), ({"minutes": 2}, 120), ("00:00:00:00", 0), ({"hours": -1}, -3600)]
)
def test_duration_is_converted_to_seconds(duration, seconds):
    assert get_seconds(duration) == seconds


@pytest.mark.parametrize("duration", ["x", "1:2:3:4", {"hours": 10**22}, {"years": 1}])
def test_value_that_is_no_duration_is_not_a_number_of_seconds(duration):
    assert get_seconds(duration) != get_seconds(duration)  # NaN
