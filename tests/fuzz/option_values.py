"""Try random values for random options, and report every command that is neither run nor refused in one line.

    python tests/fuzz/option_values.py --count 1000 --seed 0
    python tests/fuzz/option_values.py --all trainer.limit_  # every value for these options

Options are those of the signatures: the Trainer's, the networks', the datasets', Lightning's callbacks', and the
program's own. Most commands end where training would start; a sample trains on a few batches. A command is at fault if
it shows a traceback or several lines of error, takes more than 10 seconds, or is refused and leaves a run's folder, or
ends with status 0 without training and without a line that says so.
"""

import argparse
import contextlib
import inspect
import io
import itertools
import json
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import lightning as L
import lightning.pytorch.callbacks as lightning_callbacks
import numpy as np
import torch
import yaml
from PIL import Image

import classifier
from classifier.cli.main import main
from classifier.commands.export import export_classifier
from classifier.commands.predict import predict

SECONDS = 10
TRAINED = "epoch [0-9/]+  train loss|^usage:|^# lightning"  # or help and configuration are printed
BASE = {
    "fit": ("fit", "--config=digits", "--pictures=false", "--trainer.max_epochs=1"),
    "test": ("test", "--ckpt_path=made.ckpt"),
    "validate": ("validate", "--ckpt_path=made.ckpt"),
    "predict": ("predict", "pets/a/0.png", "--ckpt_path=made.ckpt"),
    "export": ("export", "--ckpt_path=made.ckpt", "--output=network.pth"),
}
FEW_BATCHES = ("--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1")
PETS = ("--data=ImageFolder", "--data.root=pets")
NETWORKS = {"MLP": (), "CNN": PETS, "Airbench": PETS, "TorchVision": (*PETS, "--model.name=squeezenet1_1")}
DATASETS = {"Digits": (), "ImageFolder": ("--data.root=pets",)}
# These start processes, or wait for other machines.
ONLY_BUILT = ("devices", "num_nodes", "strategy", "plugins", "accelerator")
VALUES = (
    *(0, 1, -1, 2, 7, 1000, 10**6, 10**9, 2**40, 10**22, -(10**22), 0.0, 1.0, 0.5, 1.5, -0.5, 1e-320, 1e30, 1e300),
    *(float("nan"), float("inf"), -float("inf"), True, False, None, "", " ", "x", "a\0b", "x" * 10_000, "1", "1.0"),
    *([], {}, [0], [1], [10**9], [10**22], [None], [float("nan")], ["x"], [[1]], [1, 2, 3], [1] * 1000, {"a": 1}),
    *("s3://bucket/x", "nowhere://x", "memory://x", "/proc/x", "made.ckpt", "..", "-1", "0,1", "1e400", "0x10", "null"),
    *("00:00:00:00", "00:00:00:01", "99:99:99:99", "-1:00:00:00", {"seconds": 0}, {"hours": 10**22}, {"hours": -1}),
    *({"class_path": "x"}, {"class_path": "os.system"}, "epoch", "min", "loss/test"),
)


Option = tuple[str, str, tuple[str, ...]]  # a command, the name of an option, and arguments that the option requires


class Case(NamedTuple):
    """A command line, and whether to train."""

    command: str
    option: str
    value: Any
    arguments: tuple[str, ...]
    trains: bool


class Timeout(BaseException):
    """Raised in a command that takes too long."""


class Reached(BaseException):
    """Raised where training would start."""


def list_options() -> list[Option]:
    """Return all options; the more frequent ones, several times."""
    options: list[Option] = []
    trainer = [name for name in inspect.signature(L.Trainer).parameters if name not in ("callbacks", "self")]
    for command in ("fit", "fit", "fit", "test", "validate"):
        options += [(command, f"trainer.{name}", ()) for name in trainer]
        options += [(command, name, ()) for name in ("seed_everything", "threads", "ckpt_path", "config", "model")]
    options += [("fit", name, ()) for name in ("seeds", "pictures", "data", "allow_import") for _ in range(3)]
    for part, classes in (("model", NETWORKS), ("data", DATASETS)):
        for name, extra in classes.items():
            for parameter in inspect.signature(getattr(classifier, name)).parameters:
                options.append(("fit", f"{part}.{parameter}", (f"--{part}={name}", *extra)))
    for name in lightning_callbacks.__all__:
        callback = getattr(lightning_callbacks, name)
        for parameter in inspect.signature(callback).parameters:
            options.append(("fit", f"trainer.callbacks.{parameter}", (f"--trainer.callbacks={name}",)))
    for command, function in (("predict", predict), ("export", export_classifier)):
        options += [(command, name, ()) for name in (*inspect.signature(function).parameters, "threads")]
    return options


def make_case(number: int, option: Option, value: Any, in_file: bool, may_train: bool) -> Case:
    """Return the command that gives an option a value, on the command line or in a file."""
    command, name, extra = option
    trains = command != "fit" or (may_train and name.rpartition(".")[2] not in ONLY_BUILT)
    arguments = [*BASE[command], *(FEW_BATCHES if command == "fit" else ()), *extra]
    nested = name.startswith(("model.", "data.", "trainer.callbacks")) or name == "config"
    if in_file and command in ("fit", "test") and not nested:
        content: Any = value
        for key in reversed(name.split(".")):
            content = {key: content}
        Path(f"case_{number}.yaml").write_text(yaml.safe_dump(content))
        arguments.append(f"--config=case_{number}.yaml")
    else:
        arguments.append(f"--{name}={value if isinstance(value, str) else json.dumps(value)}")
    return Case(command, name, value, tuple(arguments), trains)


def make_random_cases(count: int, seed: int) -> Iterator[Case]:
    """Yield commands with random options and values, of which about a third train."""
    generator, options = random.Random(seed), list_options()  # noqa: S311
    for number in range(count):
        option, value = generator.choice(options), generator.choice(VALUES)
        yield make_case(number, option, value, generator.random() < 0.3, generator.random() < 0.3)


def make_all_cases(prefix: str) -> Iterator[Case]:
    """Yield a command that trains for every option whose name starts with a prefix and every value."""
    options = [option for option in dict.fromkeys(list_options()) if option[1].startswith(prefix)]
    for number, (option, value) in enumerate(itertools.product(options, VALUES)):
        yield make_case(number, option, value, in_file=number % 3 == 0, may_train=True)


@contextlib.contextmanager
def limit_time(seconds: float) -> Iterator[None]:
    """Raise Timeout in this thread after a number of seconds."""

    def stop(*_: object) -> None:
        raise Timeout

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def list_runs() -> set[Path]:
    """Return the folders of all runs."""
    return set(Path().glob("**/version_*"))


def find_fault(case: Case, status: int | str, printed: str, errors: str, has_new_run: bool) -> str | None:
    """Return what is wrong with the outcome of a command, or None."""
    lines = [line for line in errors.splitlines() if line.strip()]
    if status in (1, 2):
        if len(lines) != 1:
            return f"{len(lines)} lines of error: {' | '.join(lines)[:300]}"
        return "a refused command left a run's folder" if has_new_run else None
    if status == "timeout":
        return None if re.search(TRAINED, printed, re.MULTILINE) else "no result within 10 seconds"
    if status not in (0, "reached"):
        return f"ended with {status}"
    if lines:
        return f"warnings: {' | '.join(lines)[:300]}"
    if status == 0 and case.command == "fit" and not re.search(TRAINED, printed, re.MULTILINE):
        return "trained nothing, and did not say so"
    return None


def run_case(case: Case) -> str | None:
    """Run a command in this process, and return what is wrong with its outcome, or None."""
    before, out, err = list_runs(), io.StringIO(), io.StringIO()
    status: int | str = 0
    stop = mock.patch.object(L.Trainer, "fit", side_effect=Reached) if not case.trains else contextlib.nullcontext()
    try:
        with (
            stop,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            limit_time(SECONDS),
            warnings.catch_warnings(),
        ):
            # Lightning's advice is no fault, but a setting that cannot be written to config.yaml is.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", "(?s).*Unable to serialize")
            main(list(case.arguments))
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except Timeout:
        status = "timeout"
    except Reached:
        status = "reached"
    except BaseException as error:
        status = f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        reset_process()
    return find_fault(case, status, out.getvalue(), err.getvalue(), bool(list_runs() - before))


def reset_process() -> None:
    """Undo the settings of a command that outlast it."""
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"):
        os.environ.pop(name, None)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)
    torch.set_default_dtype(torch.float32)


def make_files() -> None:
    """Write a small image folder and a checkpoint to the current folder."""
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        folder = Path("pets", name)
        folder.mkdir(parents=True)
        for number in range(12):
            Image.fromarray(generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    with contextlib.redirect_stdout(io.StringIO()):
        main([*BASE["fit"], *FEW_BATCHES, "--data.val_split=100", "--trainer.default_root_dir=made"])
    Path("made/lightning_logs/version_0/checkpoints/last.ckpt").rename("made.ckpt")


def run_cases(cases: Iterable[Case], verbose: bool = False) -> tuple[int, int]:
    """Run commands in a temporary folder, print those at fault, and return the numbers of commands and of faults."""
    previous, count, faults = Path.cwd(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            make_files()
            for case in cases:
                started, count = time.monotonic(), count + 1
                fault = run_case(case)
                faults += fault is not None
                if fault or verbose:
                    shown = f"{case.option}={str(case.value)[:60]!r} trains={case.trains}"
                    outcome = fault or f"no fault, {time.monotonic() - started:.1f} s"
                    print(f"{outcome}\n    {shown}: {' '.join(case.arguments)[:300]!r}", flush=True)
        finally:
            os.chdir(previous)
    return count, faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", metavar="PREFIX", help="Try every value for every option that starts so.")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))  # a size out of range must not fill the memory
    cases = make_random_cases(arguments.count, arguments.seed)
    if arguments.all is not None:
        cases = make_all_cases(arguments.all)
    tried, found = run_cases(cases, arguments.verbose)
    print(f"{tried} commands tried, {found} faults")
    sys.exit(bool(found))
