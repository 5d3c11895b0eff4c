"""The parser of `fit`, `validate` and `test`."""

from pathlib import Path

import yaml
from helpers.runs import FIT_DIGITS


def test_help_of_fit_shows_common_options_and_hides_rare_ones(start):
    process = start("fit", "--help")  # in a new process, because the help lists all networks, those of tests included
    process.join()
    assert process.exitcode == 0
    text = Path("out").read_text()
    assert len(text.splitlines()) < 200
    for option in ("--trainer.max_epochs", "--trainer.accelerator", "--model", "--data", "--threads", "--ckpt_path"):
        assert option in text
    assert "--trainer.barebones" not in text


def test_option_that_help_hides_works_and_is_saved(run):
    run(*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_val_batches=1", "--trainer.log_every_n_steps=7")
    config = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert config["trainer"]["log_every_n_steps"] == 7
