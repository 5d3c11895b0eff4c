"""Train with every class of Lightning that can be added to a Trainer, then repeat, resume and test each run.

    python tests/fuzz/lightning_parts.py [--only NAME ...]

A class passes if it is refused in one line, or if all four commands end with status 0. Known faults of Lightning are
listed below. The exit status is 1 if another class fails.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.lightning_parts import Part, list_parts

from classifier.cli.main import main

FIT = ("fit", "--config=digits", "--pictures=false", "--trainer.limit_train_batches=2", "--trainer.accelerator=cpu")
KNOWN = {
    "OnExceptionCheckpoint": "makes Lightning warn that no checkpoint is given",
    "WandbLogger": "writes its own lines to standard error",
    "SpikeDetection": "cannot be resumed: its constructor does not create what load_state_dict sets",
}


def call(*arguments: object) -> str:
    """Run a command line in this process, and return what is wrong with its end, or an empty string."""
    error = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        try:
            main(list(map(str, arguments)))
        except SystemExit as stop:
            lines = error.getvalue().splitlines()
            return f"refused: {lines[0]}" if stop.code in (1, 2) and len(lines) == 1 else f"{stop.code}: {lines}"
        except BaseException:
            return traceback.format_exc()
    return error.getvalue()


def try_part(part: Part) -> Iterator[tuple[str, str]]:
    """Yield the commands for a class that fail, and how."""
    Path("part.yaml").write_text(yaml.safe_dump(part.settings))
    problem = call(*FIT, "--config", "part.yaml", "--trainer.max_epochs=2")
    if problem:
        if not problem.startswith("refused: "):
            yield "fit", problem
        return
    (config,) = Path().rglob("config.yaml")
    commands = {
        "repeat": ("fit", "--config", config, "--trainer.max_epochs=1"),
        "resume": ("fit", "--ckpt_path", config.parent, "--trainer.max_epochs=3"),
        "test": ("test", "--ckpt_path", config.parent),
    }
    for name, arguments in commands.items():
        if problem := call(*arguments):
            yield name, problem


def fuzz(names: list[str] | None = None) -> int:
    """Try all classes, or those of some names; return the number of classes that fail unexpectedly."""
    parts = [part for part in list_parts() if not names or part.name in names]
    failed = 0
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            for name in [name for name in os.environ if name.startswith(("PL_", "MASTER_"))]:
                del os.environ[name]
            problems = list(try_part(part))
            os.chdir("/")
        known = KNOWN.get(part.name, "") if problems else ""
        failed += bool(problems) and not known
        print(f"{part.option:<10} {part.name:<28} {'known: ' + known if known else 'fails' if problems else 'ok'}")
        for command, problem in problems if not known else []:
            print(f"  {command}: {problem}")
    print(f"{len(parts)} classes tried, {failed} failed")
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    sys.exit(min(fuzz(parser.parse_args().only), 1))
