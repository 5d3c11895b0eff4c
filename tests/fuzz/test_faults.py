"""Faults at chosen operations on the files of a run; `faults.py` tries all of them."""

from pathlib import Path

import pytest
from helpers.faults import FileFaults, Killed
from helpers.records import compare, find_damage, read_epoch_lines, read_records
from helpers.runs import LOGS

from classifier.cli.main import main

FIT = (
    "fit", "--config=digits", "--pictures=false", "--trainer.max_epochs=2", "--trainer.limit_train_batches=2",
    "--data.val_split=50", "--trainer.accelerator=cpu",
)  # fmt: skip
RESUME = ("fit", "--ckpt_path=lightning_logs/version_0", "--pictures=false")
RUN = LOGS / "version_0"


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Return the records of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    main([*FIT, f"--trainer.default_root_dir={folder}"])
    return read_records(folder / RUN)


def finish(run) -> str:
    """Resume the run or, if it has no checkpoint, start it again in its folder; return what is printed."""
    if (RUN / "checkpoints" / "last.ckpt").exists():
        return run(*RESUME)
    RUN.rename(LOGS / "without_checkpoint")
    return run(*FIT)


@pytest.mark.parametrize(
    "operation",
    [("write hparams.yaml", 1), ("rename results.json", 2), ("rename last.ckpt", 1), ("rename last.ckpt", 2)],
    ids=lambda operation: f"{operation[0]} {operation[1]}",
)
def test_killed_run_ends_with_the_records_of_an_uninterrupted_one(run, capsys, expected, operation):
    with pytest.raises(Killed), FileFaults(Path.cwd(), operation, "raise").active():
        main(list(FIT))
    before = capsys.readouterr().out
    assert not [line for line in find_damage(LOGS) if not line.endswith(" is left")]
    printed = read_epoch_lines(before + finish(run))
    assert {epoch for epoch, _ in printed} == {"epoch 1", "epoch 2"}
    assert len(set(printed)) == 2, "an epoch was printed twice, with different metrics"
    assert list(compare(drop_root(expected), drop_root(read_records(RUN)))) == []
    assert not list(RUN.rglob(".unfinished-*"))


def drop_root(records):
    """Return records without the option that only the uninterrupted run was given."""
    records["config.yaml"]["trainer"].pop("default_root_dir", None)
    return records


def test_full_disk_is_reported_in_one_line_and_the_run_can_be_resumed(run, fail, expected):
    with FileFaults(Path.cwd(), ("write last.ckpt", 2), "full").active():
        status, line = fail(*FIT)
    assert (status, "last.ckpt: No space left on device; the previous checkpoint is still there" in line) == (1, True)
    assert list(find_damage(LOGS)) == []
    finish(run)
    assert list(compare(drop_root(expected), drop_root(read_records(RUN)))) == []
