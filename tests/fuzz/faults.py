"""Fail at every operation on the files of a run, resume it, and compare its records with those of an uninterrupted run.

    python tests/fuzz/faults.py                              # every operation, every effect: minutes
    python tests/fuzz/faults.py --count 50 --seed 1          # 50 operations, drawn at random
    python tests/fuzz/faults.py --effects kill,full --only "rename last.ckpt"

A run of three epochs fails at its k-th operation (create, write, fsync, rename, mkdir, rmdir, remove), for every k: the
process is killed before it or after half of a write, receives SIGINT or SIGTERM, or the disk is full or read-only.
Then, no file may be half-written, a full disk must be reported as one line, and the resumed run must end with the
records of an uninterrupted one. The exit status is 1 if something broke.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.faults import EFFECTS, run_with_fault
from helpers.records import find_damage
from helpers.series import Series, record_uninterrupted

FIT = (
    "fit", "--config=digits", "--pictures=false", "--trainer.max_epochs=3", "--trainer.limit_train_batches=3",
    "--data.val_split=200", "--trainer.accelerator=cpu",
)  # fmt: skip
STATUSES = {"kill": 137, "tear": 137, "interrupt": 130, "terminate": 143, "full": 1, "full once": 1, "read-only": 1}


def list_operations(folder: Path) -> list[str]:
    """Return the labels of all operations of an uninterrupted run."""
    report = folder / "report"
    Series(folder / "counted", FIT).start(target=run_with_fault, target_args=(None, "kill", report))
    return report.read_text().splitlines()


def find_faults(folder: Path, number: int, effect: str, expected: tuple) -> list[str]:
    """Return what breaks if the operation of a number fails: one line per fault."""
    report = folder.with_suffix(".report")
    series = Series(folder, FIT)
    status = series.start(target=run_with_fault, target_args=(number, effect, report))
    faults = []
    if status not in (STATUSES[effect], 0) or (status == 0 and effect == "kill"):
        faults.append(f"status {status}")
    if effect not in ("kill", "tear") and len(series.err.splitlines()) > (status == 1):
        faults.append(f"stderr: {series.err.strip()[-300:]}")
    leftover = not effect.startswith("full")  # the next process that opens the run removes its temporary folder
    faults += [line for line in find_damage(folder) if not (leftover and line.endswith(" is left"))]
    for _ in range(2):
        if not series.finished:
            series.start()
            if not series.finished:
                faults.append(f"resumed: {series.history[-1]}")
    return faults + list(series.find_differences(*expected[:2]))


def run() -> None:
    """Run all cases, print each that breaks, and exit with status 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="number of operations; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--effects", default=",".join(EFFECTS))
    parser.add_argument("--only", default="", help="only operations whose label contains this")
    options = parser.parse_args()
    tried, broken = Counter(), Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected, labels = record_uninterrupted(folder, FIT), list_operations(folder)
        cases = [(i, label) for i, label in enumerate(labels) if options.only in label]
        if options.count is not None:
            cases = sorted(random.Random(options.seed).sample(cases, min(options.count, len(cases))))  # noqa: S311
        print(f"{len(labels)} operations in a run, {len(cases)} of them tried", flush=True)
        for number, label in cases:
            for effect in options.effects.split(","):
                if effect == "tear" and not label.startswith("write"):
                    continue
                faults = find_faults(folder / f"{number}-{effect}", number, effect, expected)
                tried[effect] += 1
                broken[effect] += bool(faults)
                if faults:
                    print(f"operation {number}, {label}: {effect}", *faults[:8], sep="\n    ", flush=True)
                shutil.rmtree(folder / f"{number}-{effect}")
    for effect in tried:
        print(f"{effect}: {tried[effect]} tried, {broken[effect]} broken")
    sys.exit(bool(broken.total()))


if __name__ == "__main__":
    run()
