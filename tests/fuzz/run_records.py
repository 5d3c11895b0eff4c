"""Fuzzer of the table of runs: folders of runs with damaged and foreign files.

    python tests/fuzz/run_records.py --count 2000 --seed 0

The allowed results are a table in which every run is either shown or counted as damaged, or a UserError of one line.
"""

import argparse
import contextlib
import copy
import io
import json
import os
import random
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `python tests/fuzz/run_records.py`
from helpers.run_folders import write_run

from classifier.commands.runs import runs
from classifier.errors import UserError
from classifier.runs.summaries import FILES

EPOCHS = [{"accuracy/val": 0.5, "loss/val": 1.0, "accuracy/test": 0.25, "f1/test": 0.1}, {"accuracy/val": 0.75}]
VALUES = (
    None,
    True,
    -1,
    0,
    10**400,
    1e999,
    float("nan"),
    "",
    "x\n\x1b",
    "*a",
    [],
    [[]],
    {},
    {"": {}},
    {1: 2},
    ["a"] * 3,
)
TEXTS = ("", "[", "a: &a [*a]", "a: 2020-01-01", "{" * 3000, "[" * 3000 + "]" * 3000, '{"a": ' * 900 + "1" + "}" * 900)
COLUMNS = ("name", "seed", "epochs", "size", "state", "accuracy/val", "model.lr", "model", "x")


def change(content: Any, rng: random.Random) -> Any:
    """Return a copy of nested tables and lists in which a random part is replaced."""
    content = copy.deepcopy(content)
    part, steps = content, rng.randrange(4)
    for _ in range(steps):
        keys = list(part) if isinstance(part, dict) else range(len(part))
        inner = [key for key in keys if isinstance(part[key], (dict, list)) and part[key]]
        if not inner:
            break
        part = part[rng.choice(inner)]
    key = rng.choice(list(part) if isinstance(part, dict) else range(len(part)))
    part[key] = rng.choice(VALUES)
    return content


def damage(folder: Path, rng: random.Random) -> str:
    """Change a file of a run at random, and return how."""
    files = [folder / name for name in FILES if (folder / name).is_file()]
    if not files:
        return "nothing left"
    path = rng.choice(files)
    kind = rng.choice(["values", "values", "values", "bytes", "text", "end", "missing", "folder"])
    data = path.read_bytes()
    if kind == "values":
        try:
            content = json.loads(data) if path.suffix == ".json" else yaml.safe_load(data)
        except (ValueError, RecursionError, yaml.YAMLError):
            return "damaged already"
        for _ in range(rng.randint(1, 4)):
            content = change(content, rng) if isinstance(content, dict) and content else content
        path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content))
    elif kind == "bytes":
        position = rng.randrange(len(data) or 1)
        path.write_bytes(data[:position] + rng.randbytes(1) + data[position + 1 :])
    elif kind == "text":
        path.write_text(rng.choice(TEXTS))
    elif kind == "end":
        path.write_bytes(data[: rng.randrange(len(data) or 1)])
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
    return f"{kind} of {path.name}"


def try_runs(rng: random.Random) -> tuple[list[str], str | None]:
    """Print and write the table of some damaged runs, and return what was damaged and, if it fails, how."""
    with tempfile.TemporaryDirectory() as root:
        folders = [write_run(Path(root, f"run_{number}"), EPOCHS, seed=number) for number in range(3)]
        damages = [damage(folder, rng) for folder in folders[1:] for _ in range(rng.randint(0, 2))]
        printed, sort = io.StringIO(), rng.choice([None, *COLUMNS])
        try:
            with contextlib.redirect_stdout(printed):
                runs(root, sort, os.path.join(root, rng.choice(["a.csv", "a.json"])))  # noqa: PTH118
        except UserError as error:
            return damages, None if "\n" not in str(error) else f"more than one line: {error}"
        except Exception:
            return damages, f"{damages}, sorted by {sort}: {traceback.format_exc()}"
        text = printed.getvalue()
        is_left = {folder.name: any((folder / name).is_file() for name in FILES) for folder in folders}
        lost = [name for name, left in is_left.items() if left and name not in text]
        if lost or not all(line.isprintable() for line in text.splitlines()):
            return damages, f"{damages}: {lost} not in {text!r}"
        return damages, None


def fuzz(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Try `count` folders, and return how often each kind of damage was tried, and what failed."""
    rng = random.Random(seed)  # noqa: S311
    tried: Counter[str] = Counter()
    faults: list[str] = []
    for _ in range(count):
        damages, fault = try_runs(rng)
        tried.update(damages)
        faults += [fault] if fault else []
    return tried, faults


def main() -> None:
    """Fuzz with the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tried, faults = fuzz(options.count, options.seed)
    print(*(f"{count:6} {kind}" for kind, count in sorted(tried.items())), *faults[:10], sep="\n")
    print(f"{len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
