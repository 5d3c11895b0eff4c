"""Load damaged and wrong checkpoints. Run `python tests/fuzz/checkpoints.py --count 3000 --seed 0`.

Every case must load with the values that were written, or be refused in one line. Three kinds of cases are tried: the
bytes of a checkpoint are changed, one value of its content is replaced by another one, and the wrong files of `WRONG`
are given to four commands.
"""

import argparse
import collections
import contextlib
import io
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from classifier.cli.main import main
from classifier.errors import UserError
from classifier.runs.checkpoints import load_checkpoint, load_data, load_model

PATH = Path("lightning_logs/version_0/checkpoints/last.ckpt")
FIT = ["fit", "--config=digits", "--pictures=false", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
MAKE = [*FIT, "--trainer.max_epochs=1", "--data.val_split=101", "--model.hidden_sizes=[16]"]
MAKE += ["--model.lr_schedule=linear", "--model.ema_decay=0.9"]
SECONDS = 30  # after which a case counts as hanging
HUGE = torch.zeros(1).expand(10**9)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch deprecates them, but reads them
    QUANTISED = torch.quantize_per_tensor(torch.zeros(16), 0.1, 0, torch.qint8)
TENSORS = (
    torch.zeros(3),
    torch.zeros(2, 2, device="meta"),
    torch.zeros(2, 2).to_sparse(),
    QUANTISED,
    torch.zeros(16, dtype=torch.complex64),
    torch.zeros(16, dtype=torch.float8_e5m2),
    torch.zeros(16, dtype=torch.int8),
    torch.zeros(16, dtype=torch.int64),
    HUGE,
)
VALUES = (None, True, -1, 0, 10**30, 0.5, -1.0, float("nan"), float("inf"), "", "text", "a\0b", "\ud800", b"bytes")
VALUES += ([], {}, (), [1], ["a"], {"a": 1}, {1: 2}, (0.5, "x"), [[[]]], *TENSORS)
S, H, W = "state_dict/network.1.bias", "hyper_parameters", "state_dict"
MOMENTUM = "optimizer_states/0/state/0/momentum_buffer"
# Path of a value in the checkpoint, with "/" between keys, and what replaces it. Each of these files is refused.
WRONG: tuple[tuple[str, Any], ...] = (
    *((S, value) for value in (*TENSORS, None, [0.0] * 16, "weights", torch.zeros(16).double()[:8])),
    ("state_dict/extra", torch.zeros(1)),
    ("state_dict", {}),
    ("state_dict", "text"),
    *((f"{H}/lr", value) for value in (None, "fast", -1.0, {}, [0.1], float("nan"))),
    *((f"{H}/mean", value) for value in ({}, {"a": 0.1}, "zero", ("a",), (float("nan"),), (0.1, 0.2), 5)),
    *((f"{H}/std", value) for value in ((0.0,), {"a": 0.1}, "one", (float("nan"),), 1.0)),
    *((f"{H}/class_names", value) for value in (("a", "b"), "0123456789", 5, (1,) * 10, ({},) * 10)),
    *((f"{H}/hidden_sizes", value) for value in ((10**9,), (10**9,) * 5, "wide", (-1,), (16, 16), {})),
    *((f"{H}/image_shape", value) for value in ((3, 10**6, 10**6), (1, 10**6, 10**6), (1, 8), "8x8", (1, 2.5, 8))),
    *((f"{H}/num_classes", value) for value in (10**9, 10**30, 3, "ten", None)),
    (f"{H}/unknown", 5),
    (H, {1: 2}),
    (H, "text"),
    *(("classes/model", value) for value in (5, None, "", "os.system", "classifier.Digits", "classifier.errors")),
    ("classes", {}),
    ("classes/data", 5),
    ("datamodule_hyper_parameters/batch_size", "many"),
    ("datamodule_hyper_parameters/batch_size", 10**30),
    ("datamodule_hyper_parameters", [1]),
    *(("epoch", value) for value in (None, "one", -5, 1.5, 10**30)),
    *(("format_version", value) for value in (99, "two", None)),
    *(("pytorch-lightning_version", value) for value in (2.6, None, "text", "1.0.0", "2.6.6+?")),
    *(("loops", value) for value in ("text", {"fit_loop": "text"}, [1])),
    *(("callbacks", value) for value in ("text", {"last": "text"}, [1])),
    *(("optimizer_states", value) for value in ("text", ["text"], {"a": 1})),
    *((MOMENTUM, value) for value in (torch.zeros(3), torch.zeros(16, 64, device="meta"), TENSORS[2])),
    ("lr_schedulers", "text"),
)  # fmt: skip
LOADED = (W, H, "datamodule_hyper_parameters", "classes", "epoch")


def make_checkpoint() -> bytes:
    """Train for an epoch in the current folder, and return the checkpoint."""
    with contextlib.redirect_stdout(io.StringIO()):
        main(MAKE)
    return PATH.read_bytes()


def load(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, after its network and its data are built."""
    checkpoint = load_checkpoint(path)
    load_model(checkpoint)
    load_data(checkpoint)
    return checkpoint


def are_equal(first: Any, second: Any) -> bool:
    """Return whether two contents of checkpoints have the same types and values."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        same = isinstance(second, dict) and first.keys() == second.keys()
        return same and all(are_equal(value, second[key]) for key, value in first.items())
    if isinstance(first, (list, tuple)):
        same = type(first) is type(second) and len(first) == len(second)
        return same and all(are_equal(*pair) for pair in zip(first, second, strict=True))
    return type(first) is type(second) and repr(first) == repr(second)


def change_bytes(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return the kind of a random change, and a file with that change."""
    kind = rng.choice(("bit", "bit", "bit", "bytes", "truncation", "zeros", "insertion", "swap", "doubled"))
    data, at = bytearray(content), rng.randrange(len(content))
    if kind == "bit":
        data[at] ^= 1 << rng.randrange(8)
    elif kind == "bytes":
        data[at : at + 4] = rng.randbytes(len(data[at : at + 4]))
    elif kind == "truncation":
        del data[at:]
    elif kind == "zeros":
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif kind == "swap":  # of two blocks of the file, as on a disk
        other = rng.randrange(len(content) - 64)
        at = min(at, len(content) - 64)
        data[at : at + 64], data[other : other + 64] = content[other : other + 64], content[at : at + 64]
    elif kind == "insertion":
        data[at:at] = rng.randbytes(rng.randrange(1, 64))
    else:
        data = bytearray(double_record(content, rng))
    return kind, bytes(data)


def double_record(content: bytes, rng: random.Random) -> bytes:
    """Return a zip file with a second record of the same name, apart from its case, and other content."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        name = rng.choice([name for name in old.namelist() if "/data/" in name])
        new.writestr(name.upper(), bytes(len(old.read(name))))
    return file.getvalue()


def list_paths(tree: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the keys that lead to every value in tables and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else ()
    for key, value in items:
        yield (*path, key)
        yield from list_paths(value, (*path, key))


def replace(tree: Any, path: tuple, value: Any) -> Any:
    """Return a copy of a tree in which the value at a path is another one; Ellipsis removes it."""
    if not path:
        return value
    key, *rest = path
    items = dict(tree) if isinstance(tree, dict) else dict(enumerate(tree))
    if value is ... and not rest:
        items.pop(key)
    else:
        items[key] = replace(items.get(key, {}), tuple(rest), value)
    return items if isinstance(tree, dict) else type(tree)(items.values())


def replace_by_name(tree: Any, name: str, value: Any) -> Any:
    """Return a copy of a tree in which the value at a path of `WRONG` is another one."""
    return replace(tree, tuple(int(key) if key.isdigit() else key for key in name.split("/")), value)


class TookTooLong(BaseException):
    """A case did not end in time."""


def stop(*_: Any) -> None:
    """Signal handler that ends a case."""
    raise TookTooLong


def judge(case: Callable[[], Any]) -> tuple[str, Any]:
    """Run a case, and return "loaded", "refused" or "fault", and its result or the last line of its error."""
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            result = case()
    except UserError as error:
        return ("refused" if "\n" not in str(error) else "fault"), str(error)
    except SystemExit as error:
        lines = errors.getvalue().splitlines()
        return ("refused" if error.code in (1, 2) and len(lines) == 1 else "fault"), f"{error.code} {lines[-1:]}"
    except (Exception, TookTooLong) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return "fault", f"{type(error).__name__}: {str(error)[:80]!r} in {Path(frame.filename).name}:{frame.lineno}"
    finally:
        signal.alarm(0)
    return "loaded", result


def list_commands(content: bytes) -> dict[str, Callable[[], None]]:
    """Return the four commands that read a checkpoint; each replaces the checkpoint of the current folder first."""
    arguments = {
        "test": ["test", "--trainer.accelerator=cpu"],
        "fit": ["fit", "--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"],
        "predict": ["predict", "image.png", "--accelerator=cpu"],
        "export": ["export", "--output=model.pth"],
    }

    def run(argv: list[str]) -> None:
        PATH.write_bytes(content)
        main([argv[0], f"--ckpt_path={PATH}", *argv[1:]])

    return {name: lambda argv=argv: run(argv) for name, argv in arguments.items()}


def write(tree: Any) -> bytes:
    """Return the bytes of a checkpoint with some content."""
    file = io.BytesIO()
    torch.save(tree, file)
    return file.getvalue()


def check_bytes(content: bytes, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Load changed files, and yield each one's kind and "loaded", "refused" or a fault."""
    path, rng = Path("changed.ckpt"), random.Random(seed)  # noqa: S311 reproducible, not secret
    path.write_bytes(content)
    expected = load(path)
    for _ in range(count):
        kind, data = change_bytes(content, rng)
        path.write_bytes(data)
        verdict, result = judge(lambda: load(path))
        if verdict == "loaded" and not are_equal(result, expected):
            verdict, result = "fault", "other values are loaded"
        yield kind, verdict if verdict != "fault" else str(result)


def check_tree(content: bytes, count: int, seed: int, sample: float) -> Iterator[tuple[str, str]]:
    """Load files with one changed value, a fraction of them also by the four commands; yield as `check_bytes`."""
    tree = torch.load(io.BytesIO(content), weights_only=True)
    paths, rng = list(list_paths(tree)), random.Random(seed)  # noqa: S311 reproducible, not secret
    for _ in range(count):
        path, value = rng.choice(paths), rng.choice((*VALUES, ...))
        name = f"{'.'.join(map(str, path))} = {'nothing' if value is ... else describe(value)}"
        data = write(replace(tree, path, value))
        Path("changed.ckpt").write_bytes(data)
        cases = {"load": lambda: load(Path("changed.ckpt"))}
        if rng.random() < sample:
            cases |= list_commands(data)
        for command, case in cases.items():
            verdict, result = judge(case)
            yield command, verdict if verdict != "fault" else f"{name}: {result}"


def check_wrong(content: bytes) -> Iterator[tuple[str, str]]:
    """Give the files of `WRONG` to the four commands, and yield each command and its verdict."""
    tree = torch.load(io.BytesIO(content), weights_only=True)
    for name, value in WRONG:
        for command, case in list_commands(write(replace_by_name(tree, name, value))).items():
            verdict, result = judge(case)
            if verdict == "loaded" and command == "fit":
                result = "is loaded"
            yield f"wrong {command}", verdict if verdict != "fault" else f"{name} = {describe(value)}: {result}"


def describe(value: Any) -> str:
    """Return a short description of a value."""
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} {value.dtype} {value.layout} {value.device}"
    return repr(value)[:40]


def run_cases(count: int, seed: int, sample: float = 0.05, wrong: bool = True) -> dict[str, collections.Counter]:
    """Run all cases in the current folder, and return the number of each verdict by kind; faults are printed."""
    from PIL import Image

    Image.new("L", (8, 8)).save("image.png")
    content = make_checkpoint()
    cases = [check_bytes(content, count * 2 // 3, seed), check_tree(content, count // 3, seed, sample)]
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for generator in (*cases, *([check_wrong(content)] if wrong else [])):
        for kind, verdict in generator:
            if verdict not in ("loaded", "refused"):
                print(f"fault: {kind}: {verdict}", flush=True)
                verdict = "fault"
            counts[kind][verdict] += 1
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=float, default=0.05, help="fraction of changed values given to the commands")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        results = run_cases(options.count, options.seed, options.sample)
        os.chdir("/")
    for kind, numbers in sorted(results.items()):
        print(f"{kind:<16}" + "".join(f"  {name} {numbers[name]:>5}" for name in ("loaded", "refused", "fault")))
    faults = sum(numbers["fault"] for numbers in results.values())
    total = sum(sum(numbers.values()) for numbers in results.values())
    print(f"{total} cases, {faults} faults, {time.monotonic() - started:.0f} s")
    sys.exit(faults > 0)
