"""Runs that were started from the current folder, in their order."""

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from classifier.runs.folders import find_checkpoint
from classifier.runs.history import ELSEWHERE, LOCK, LOGS, list_runs, read_elsewhere, record_start


def make_run(folder: Path | str, started: float, saved: float | None = None) -> Path:
    """Create a run that was started at a time, with a checkpoint that was saved at a time; None for none."""
    folder = Path(folder)
    (folder / "checkpoints").mkdir(parents=True)
    for file, when in ((folder / LOCK, started), (folder / "checkpoints" / "last.ckpt", saved)):
        if when is not None:
            file.touch()
            os.utime(file, (when, when))
    return folder


def test_last_run_is_the_one_started_last_and_not_the_one_that_saved_last():
    make_run(f"{LOGS}/version_1", started=100, saved=500)
    shop = make_run(f"{LOGS}/shop", started=200, saved=300)
    assert list_runs() == [Path(LOGS, "version_1"), shop]
    assert find_checkpoint("last") == shop / "checkpoints" / "last.ckpt"


def test_run_elsewhere_is_found_while_it_exists(tmp_path_factory):
    near = make_run("models/logs/version_0", started=100, saved=101)
    far = make_run(tmp_path_factory.mktemp("far") / "version_0", started=100, saved=101)
    here = make_run(f"{LOGS}/version_0", started=100, saved=101)
    for run_dir in (far, here, near, far):
        record_start(run_dir)
        time.sleep(0.01)  # the clock of a file system ticks every 4 ms
    assert [json.loads(line) for line in Path(LOGS, ELSEWHERE).read_text().split()] == [str(far), str(near)]
    assert list_runs() == [here, near, far]
    assert list_runs(Path.cwd() / LOGS)[1].resolve() == near.resolve()
    far.rename(far.with_name("moved"))
    assert find_checkpoint("best") == near / "checkpoints" / "last.ckpt"


def test_run_elsewhere_is_found_by_its_name_unless_one_in_the_folder_of_all_runs_has_it():
    runs = [make_run(f"models/{i}/shop", started=100, saved=101) for i in range(3)]
    for run_dir in (runs[0], runs[2], runs[1]):
        record_start(run_dir)
        time.sleep(0.01)
    assert find_checkpoint("shop") == runs[1] / "checkpoints" / "last.ckpt"
    here = make_run(f"{LOGS}/shop", started=50, saved=51)
    assert find_checkpoint("shop") == here / "checkpoints" / "last.ckpt"


def test_run_that_is_resumed_is_started_again_and_its_settings_and_checkpoints_may_change_later():
    old, new = (make_run(f"{LOGS}/version_{i}", started=100 + i, saved=200) for i in range(2))
    (old / "config.yaml").touch()
    (old / "checkpoints" / "last.ckpt").touch()
    assert list_runs() == [old, new]
    record_start(old)
    assert list_runs() == [new, old]


def test_run_that_is_linked_is_listed_once():
    make_run("models/version_0", started=100)
    Path(LOGS).mkdir()
    Path(LOGS, "linked").symlink_to(Path("models/version_0").resolve())
    record_start(Path("models/version_0"))
    assert list_runs() == [Path(LOGS, "linked")]


def test_runs_without_a_lock_count_by_their_settings_or_checkpoint_and_folders_without_a_run_do_not():
    make_run(f"{LOGS}/version_0", started=100, saved=900)
    notebook = make_run(f"{LOGS}/version_1", started=0, saved=300)
    copied = make_run(f"{LOGS}/version_2", started=200, saved=900)
    (notebook / LOCK).unlink()
    (copied / LOCK).rename(copied / "config.yaml")
    Path(LOGS, "empty").mkdir()
    Path(LOGS, "notes.txt").write_text("")
    assert [run.name for run in list_runs()] == ["version_0", "version_2", "version_1"]


def test_run_without_a_checkpoint_is_reported_and_the_one_before_it_is_used():
    make_run(f"{LOGS}/version_0", started=100, saved=101)
    make_run(f"{LOGS}/version_1", started=200)
    with pytest.warns(
        UserWarning, match=f"{LOGS}/version_1, which .* has no checkpoint: best means {LOGS}/version_0, which"
    ):
        assert find_checkpoint("best") == Path(LOGS, "version_0", "checkpoints", "last.ckpt")


def test_damaged_lines_of_the_record_are_skipped_and_the_others_are_paths():
    run = make_run("a 'run'\nof é", started=100, saved=101)
    Path(LOGS).mkdir()
    noise = np.random.default_rng(0)
    lines = [noise.bytes(noise.integers(60)).replace(b"\n", b"") for _ in range(500)]
    lines += [b'"\\u0000"', b'"half', b"[" * 100_000, b'["list"]', b'""', b'"' + b"x" * 5000 + b'"', b'"/etc/passwd"']
    Path(LOGS, ELSEWHERE).write_bytes(b"\n".join([*lines, b'"torn by a cra']))
    record_start(run)
    assert list(read_elsewhere(Path(LOGS)))[-2:] == [Path("/etc/passwd"), run]
    assert list_runs() == [run]


def test_only_the_end_of_a_huge_record_is_read():
    Path(LOGS).mkdir()
    Path(LOGS, ELSEWHERE).write_bytes(b'"old"\n' + b" " * 2_000_000)
    record_start(make_run("new", started=100))
    assert list(read_elsewhere(Path(LOGS))) == [Path("new")]


def test_runs_that_are_started_at_the_same_time_are_all_recorded():
    runs = [make_run(f"models/run_{i}", started=100) for i in range(16)]
    threads = [threading.Thread(target=record_start, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read_elsewhere(Path(LOGS))) == sorted(runs)


def test_record_that_cannot_be_written_is_reported_and_the_run_goes_on():
    Path(LOGS).write_text("")
    with pytest.warns(UserWarning, match=f"last and best will not find models/a: {LOGS}/{ELSEWHERE} cannot be written"):
        record_start(make_run("models/a", started=100))
    assert list_runs() == []
