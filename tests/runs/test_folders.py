"""Folders of runs: created once, locked by one process, and found by name."""

import threading
import time
from pathlib import Path

import pytest
from helpers.processes import SERVER, wait_for

from classifier.callbacks.checkpointing import AtomicCheckpointIO
from classifier.errors import UserError
from classifier.runs.folders import create_run_dir, find_checkpoint, is_run_dir, lock_run_dir


def save(path: Path) -> Path:
    """Write a checkpoint file and return its path."""
    AtomicCheckpointIO().save_checkpoint({}, path)
    return path


def test_threads_that_create_runs_at_the_same_time_get_different_folders(tmp_path):
    (tmp_path / "version_7").mkdir()
    (tmp_path / "tutorial_cifar10").mkdir()
    barrier, names = threading.Barrier(8), []

    def create():
        barrier.wait()
        names.append(create_run_dir(tmp_path).name)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names, key=lambda name: int(name[8:])) == [f"version_{number}" for number in range(8, 16)]


def test_folder_with_a_number_that_is_not_decimal_is_no_numbered_run(tmp_path):
    (tmp_path / "version_²").mkdir()
    assert create_run_dir(tmp_path).name == "version_0"


def test_run_whose_folder_cannot_be_written_to_is_refused_in_one_line(tmp_path):
    (tmp_path / ".lock").mkdir()
    message = r"cannot be continued, because its folder cannot be written to \(Is a directory\): copy"
    with pytest.raises(UserError, match=message), lock_run_dir(tmp_path):
        pytest.fail("the run is locked")


def test_folder_of_runs_that_cannot_be_created_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"no run can be created in .*file/logs: Not a directory; choose another place"):
        create_run_dir(tmp_path / "file" / "logs")


def hold_lock(run_dir: Path) -> None:
    """Lock a run's folder, create a file `held` in it, and wait."""
    with lock_run_dir(run_dir):
        (run_dir / "held").touch()
        time.sleep(600)


def test_second_process_cannot_lock_a_run_until_the_first_is_killed(tmp_path):
    process = SERVER.Process(target=hold_lock, args=(tmp_path,))
    process.start()
    try:
        wait_for((tmp_path / "held").exists)
        message = f"another process is writing to {tmp_path}: stop it, or wait for it"
        with pytest.raises(UserError, match=message), lock_run_dir(tmp_path):
            pytest.fail("the run is locked twice")
    finally:
        process.kill()
        process.join()
    assert process.exitcode == -9
    with lock_run_dir(tmp_path):
        assert (tmp_path / ".lock").is_file()


def test_lock_is_free_after_the_context_even_if_it_ends_with_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock_run_dir(tmp_path):
        raise ZeroDivisionError
    with lock_run_dir(tmp_path):
        pass


def test_run_without_a_complete_checkpoint_is_not_the_newest_run(tmp_path):
    last = save(tmp_path / "version_0" / "checkpoints" / "last.ckpt")
    killed = tmp_path / "version_1" / "checkpoints" / ".unfinished-1"
    killed.mkdir(parents=True)
    (killed / "last.ckpt").write_bytes(b"half a checkpoint")
    assert find_checkpoint("last", tmp_path) == last


def test_checkpoint_is_found_by_last_and_best_and_by_the_folder_of_its_run(tmp_path):
    folder = tmp_path / "version_0"
    last = save(folder / "checkpoints" / "last.ckpt")
    assert find_checkpoint("best", tmp_path) == last
    best = save(folder / "checkpoints" / "best.ckpt")
    assert find_checkpoint("best", tmp_path) == best
    for name in ("last", str(folder), str(last)):
        assert find_checkpoint(name, tmp_path) == last


def test_run_is_found_by_its_name_unless_the_current_folder_has_a_run_of_that_name(tmp_path):
    logs = tmp_path / "logs"
    run = save(logs / "version_3" / "checkpoints" / "last.ckpt")
    assert find_checkpoint("version_3", logs) == run
    Path("version_3").mkdir()  # of something else
    assert find_checkpoint("version_3", logs) == run
    own = save(Path("version_3") / "checkpoints" / "last.ckpt")
    assert find_checkpoint("version_3", logs) == own


@pytest.mark.parametrize("name", ["last", "best", "nope.ckpt", "version_3", "../version_0", ".", ""])
def test_checkpoint_that_does_not_exist_is_a_user_error(tmp_path, name):
    with pytest.raises(UserError, match=f"--ckpt_path {name}: there is no "):
        find_checkpoint(name, tmp_path)


def test_lock_removes_what_a_killed_process_left_in_the_run_and_its_checkpoints(tmp_path):
    left = [tmp_path / ".unfinished-a1b2c3d4", tmp_path / "checkpoints" / ".unfinished-b1b2c3d4"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "last.ckpt").write_bytes(b"half")
    with lock_run_dir(tmp_path):
        assert not any(folder.exists() for folder in left)


def test_run_dir_is_recognised_by_its_place_or_by_its_lock_and_settings(tmp_path):
    for folder in (tmp_path / "lightning_logs" / "notebook", tmp_path / "run", tmp_path / "project"):
        (folder / "checkpoints").mkdir(parents=True)
    for file in ("run/config.yaml", "run/.lock", "project/config.yaml"):
        (tmp_path / file).touch()
    found = [folder.name for folder in (tmp_path, *tmp_path.glob("*"), *tmp_path.glob("*/*")) if is_run_dir(folder)]
    assert sorted(found) == ["notebook", "run"]


def test_named_run_is_created_once(tmp_path):
    assert create_run_dir(tmp_path / "logs", "shop") == tmp_path / "logs" / "shop"
    with pytest.raises(UserError, match=r"logs/shop exists already: choose another name for the run$"):
        create_run_dir(tmp_path / "logs", "shop")
