"""Open files and threads of repeated runs; `growth.py` also measures memory, over hundreds of runs."""

import gc
import threading
from pathlib import Path

from helpers.runs import FIT_DIGITS

TINY = (*FIT_DIGITS, "--trainer.max_epochs=1", "--trainer.limit_train_batches=1", "--trainer.limit_val_batches=1")


def test_runs_in_one_process_leave_no_file_open_and_no_thread_running(run):
    counts = []
    for _ in range(4):
        run(*TINY)
        gc.collect()
        counts.append((len(list(Path("/proc/self/fd").iterdir())), threading.active_count()))
    assert len(set(counts[1:])) == 1, counts
    assert len(list(Path("lightning_logs").iterdir())) == 4
