"""Stop and resume runs with real signals, and compare their records with those of uninterrupted runs.

    python tests/fuzz/kills.py --series 100 --seed 0
    python tests/fuzz/kills.py --series 10 --variants "two processes"    # slow: each start takes 10 s

A series is one run of a variant drawn at random, which is stopped 2 to 5 times at random times with SIGKILL, SIGTERM or
SIGINT, each time resumed with the command that it prints, and finally left to finish. Then checkpoints, results.json,
config.yaml, hparams.yaml, TensorBoard's scalars and the printed epochs must equal those of an uninterrupted run, and no
temporary folder may be left. The exit status is 1 if something broke.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import Process
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.processes import list_children, wait_for
from helpers.series import Series, record_uninterrupted

FIT = ("fit", "--config=digits", "--pictures=false", "--trainer.accelerator=cpu")
SPLIT = ("--data.val_split=200",)
STATUSES = {signal.SIGINT: (130, 0), signal.SIGTERM: (143, 0), signal.SIGKILL: (-9, 0)}


class Variant(NamedTuple):
    """Options of a run; `limits` are the options of consecutive parts, each of which ends within an epoch."""

    options: tuple[str, ...] = ()
    limits: tuple[tuple[str, ...], ...] = (("--trainer.max_epochs=4",),)
    resumes_from: str = ""  # pattern of checkpoints that the run is resumed from; by default its last one


VARIANTS = {
    "plain": Variant(),
    "validation": Variant(SPLIT),
    "validation every 2 epochs": Variant((*SPLIT, "--trainer.check_val_every_n_epoch=2")),
    "validation every 8 steps": Variant((*SPLIT, "--trainer.val_check_interval=8")),
    "double precision": Variant(("--trainer.precision=64-true",)),
    "accumulated gradients": Variant(("--trainer.accumulate_grad_batches=3",)),
    "checkpoints every 5 steps": Variant(
        (
            "--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=5",
            "--trainer.callbacks.save_top_k=-1", "--trainer.callbacks.enable_version_counter=false",
        ),
        resumes_from="epoch*.ckpt",
    ),
    "max_steps within an epoch": Variant(
        SPLIT, (("--trainer.max_steps=30",), ("--trainer.max_steps=57",), ("--trainer.max_steps=92",))
    ),
    "max_time within an epoch": Variant(
        ("--data.batch_size=2", "--trainer.max_epochs=2"),
        (("--trainer.max_time=00:00:00:01",), ("--trainer.max_time=00:00:00:02",), ("--trainer.max_time=null",)),
    ),
    "averaged weights": Variant(
        (
            *SPLIT, "--model.ema_decay=0.9", "--model.lr_schedule=cosine", "--model.lr_warmup=0.2",
            "--data.flip=random", "--data.shift=1",
        )
    ),
    "lookahead": Variant(("--model.lookahead=5", "--model.lr_schedule=linear", "--data.flip=alternating")),
    "two processes": Variant((*SPLIT, "--trainer.devices=2", "--trainer.strategy=ddp")),
}  # fmt: skip


def run_series(series: Series, variant: Variant, generator: random.Random, seconds: float) -> list[str]:
    """Run a variant with 2 to 5 stops, and return one line for each stop that did not end as it should.

    Args:
        series: A series that is not started yet.
        variant: What the series runs.
        generator: Draws number, times and signals of the stops.
        seconds: Duration of an uninterrupted run.
    """
    faults, stops, limits = [], generator.randint(2, 5), list(variant.limits)
    while limits:
        number = generator.choice(list(STATUSES)) if stops > 0 else None
        delay = generator.uniform(0, seconds)
        stop = None if number is None else lambda process, n=number, d=delay: stop_process(process, n, d)
        status = series.start(limits[0], stop, resumes_from=variant.resumes_from if stops else "")
        stops -= 1
        is_refused = status == 2 and series.finished  # it was finished before
        if number is not None and (
            (status not in STATUSES[number] and not is_refused)
            or ("Traceback" in series.err and number != signal.SIGKILL)
        ):
            faults.append(series.history[-1])
        elif number is None and not series.finished:
            return [*faults, series.history[-1]]
        if series.finished:
            limits.pop(0)
    return faults


def stop_process(process: Process, number: int, delay: float) -> str:
    """Send a signal to a process after a delay in seconds, wait for its children to end, and return what was done."""
    process.join(delay)
    children = list_children(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
    name = f"{signal.Signals(number).name} after {delay:.2f} s"
    process.join(60)
    with contextlib.suppress(ProcessLookupError):
        for child in children:
            try:
                wait_for(lambda child=child: not Path(f"/proc/{child}").exists(), 60)
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                return f"{name}, process {child} does not end"
    return name


def run() -> None:
    """Run all series, print each that breaks, and exit with status 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variants", help="comma-separated; all but two processes by default")
    options = parser.parse_args()
    names = options.variants.split(",") if options.variants else [name for name in VARIANTS if name != "two processes"]
    tried, broken, starts, started = Counter(), Counter(), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder, expected = Path(temporary), {}
        for i in range(options.series):
            generator = random.Random(f"{options.seed} {i}")  # noqa: S311
            name = names[i % len(names)]
            variant = VARIANTS[name]
            if name not in expected:
                args = (*FIT, *variant.options, *variant.limits[-1])
                expected[name] = record_uninterrupted(folder / name, args)
            series = Series(folder / str(i), (*FIT, *variant.options))
            faults = run_series(series, variant, generator, expected[name][-1])
            faults += series.find_differences(*expected[name][:2])
            tried[name] += 1
            broken[name] += bool(faults)
            starts += len(series.history)
            if faults:
                print(f"series {i}, {name}:", *series.history, sep="\n    ")
                print("  broken:", *(fault[:300] for fault in faults[:12]), sep="\n    ", flush=True)
            shutil.rmtree(series.folder)
    for name in tried:
        print(f"{name}: {tried[name]} series, {broken[name]} broken")
    seconds = time.monotonic() - started
    print(f"{tried.total()} series with {starts} starts in {seconds:.0f} s, {broken.total()} of them broken")
    sys.exit(bool(broken.total()))


if __name__ == "__main__":
    run()
