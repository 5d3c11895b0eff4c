"""Runs that were started from the current folder, in their order."""

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from classifier.runs.folders import find_checkpoint
from classifier.runs.history import ELSEWHERE, LOGS, list_runs, read_elsewhere, remember_run


def make_run(folder: Path | str, started: float, saved: float | None = None) -> Path:
    """Create a run that was started at a time, with a checkpoint that was saved at a time; None for none."""
    folder = Path(folder)
    (folder / "checkpoints").mkdir(parents=True)
    for file, when in ((folder / "config.yaml", started), (folder / "checkpoints" / "last.ckpt", saved)):
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
    near = make_run("models/logs/version_0", started=200, saved=201)
    far = make_run(tmp_path_factory.mktemp("far") / "version_0", started=300, saved=301)
    make_run(f"{LOGS}/version_0", started=100, saved=101)
    for run_dir in (near, far, near, Path(LOGS, "version_0")):
        remember_run(run_dir)
    assert [json.loads(line) for line in Path(LOGS, ELSEWHERE).read_text().split()] == [str(near), str(far)]
    assert list_runs() == [Path(LOGS, "version_0"), near, far]
    assert list_runs(Path.cwd() / LOGS)[1].resolve() == near.resolve()
    far.rename(far.with_name("moved"))
    assert find_checkpoint("best") == near / "checkpoints" / "last.ckpt"


def test_run_that_is_linked_is_listed_once():
    make_run("models/version_0", started=100)
    Path(LOGS).mkdir()
    Path(LOGS, "linked").symlink_to(Path("models/version_0").resolve())
    remember_run(Path("models/version_0"))
    assert list_runs() == [Path(LOGS, "linked")]


def test_runs_of_a_notebook_count_by_their_newest_checkpoint_and_folders_without_a_run_do_not():
    make_run(f"{LOGS}/version_0", started=100, saved=900)
    notebook = make_run(f"{LOGS}/version_1", started=0, saved=200)
    (notebook / "config.yaml").unlink()
    Path(LOGS, "empty").mkdir()
    Path(LOGS, "notes.txt").write_text("")
    assert [run.name for run in list_runs()] == ["version_0", "version_1"]


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
    remember_run(run)
    assert list(read_elsewhere(Path(LOGS)))[-2:] == [Path("/etc/passwd"), run]
    assert list_runs() == [run]


def test_only_the_end_of_a_huge_record_is_read(tmp_path):
    Path(LOGS).mkdir()
    Path(LOGS, ELSEWHERE).write_bytes(b'"old"\n' + b" " * 2_000_000)
    remember_run(tmp_path / "new")
    assert list(read_elsewhere(Path(LOGS))) == [Path("new")]


def test_runs_that_are_started_at_the_same_time_are_all_recorded(tmp_path):
    threads = [threading.Thread(target=remember_run, args=(tmp_path / f"run_{i}",)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in read_elsewhere(Path(LOGS))) == sorted(f"run_{i}" for i in range(16))


def test_record_that_cannot_be_written_is_reported_and_the_run_goes_on():
    Path(LOGS).write_text("")
    with pytest.warns(UserWarning, match=f"last and best will not find models/a: {LOGS}/{ELSEWHERE} cannot be written"):
        remember_run(Path("models/a"))
    assert list_runs() == []
