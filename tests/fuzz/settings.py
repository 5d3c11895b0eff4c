"""Give random values to the arguments of Lightning's classes, write `config.yaml`, and read it again.

    python tests/fuzz/settings.py --count 1000 --seed 0

A case passes if the parser refuses the value, if writing is refused in one line, or if the settings that are read again
are the same. The exit status is 1 if a case fails.
"""

import argparse
import copy
import inspect
import pydoc
import random
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import lightning as L

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.lightning_parts import Part, list_parts

from classifier.cli.lightning_parser import LightningParser
from classifier.cli.parsing import allow_imports
from classifier.cli.save_config import is_same, list_settings, render_config
from classifier.errors import SettingError

# As a YAML file may hold them.
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -3, 10**12, 0.5, 1e-8, 1e300, float("inf"), float("nan"), "", "a", "1", "1e-3", "null"),
    *(
        "true",
        "cpu",
        "cuda:0",
        "00:00:01:00",
        "0:10:00",
        "epoch",
        "max",
        "a 'b': \"c\" # d",
        "x\ny",
        "é",
        "~",
        "[1",
        "!x",
    ),
    *("torch.float16", "2026-01-01", "0x10", "1_000", [], [1, 2], ["a", None], [[1, 0.5], [2, 1.0]], {}, {"a": 1}),
    *({1: 2}, {"hours": 1}, {"a": {"b": [1, None]}}, {"class_path": "lightning.pytorch.callbacks.Timer"}),
]


def change_argument(part: Part, generator: random.Random) -> Part:
    """Return a part with a random value for one or two of its arguments."""
    parameters = inspect.signature(pydoc.locate(part.class_path)).parameters
    names = [name for name, value in parameters.items() if value.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    chosen = generator.sample(names, min(len(names), generator.choice((1, 2))))
    values = {name: copy.deepcopy(generator.choice(VALUES)) for name in chosen}
    return part._replace(init_args={**part.init_args, **values})


def try_part(parser: LightningParser, part: Part) -> str:
    """Write and read a part; return "same", "refused by the parser", "refused by config.yaml", or what is wrong."""
    try:
        config = parser.parse_object(part.settings)
    except SettingError:
        return "refused by the parser"
    try:
        text = render_config(parser, config)
    except SettingError:
        return "refused by config.yaml"
    except Exception:
        return traceback.format_exc()
    settings, again = (dict(list_settings(tree)) for tree in (config, parser.parse_string(text)))
    return "same" if all(is_same(settings.get(key), again.get(key)) for key in settings | again) else text


def fuzz(count: int, seed: int) -> int:
    """Try `count` cases; print and return the number of cases that fail."""
    allow_imports([])
    parser = LightningParser()
    parser.add_lightning_class_args(L.Trainer, "trainer")
    generator, parts, results = random.Random(seed), list_parts(), Counter()  # noqa: S311
    for _ in range(count):
        part = change_argument(generator.choice(parts), generator)
        result = try_part(parser, part)
        known = result.startswith(("same", "refused"))
        results[result if known else "failed"] += 1
        if not known or result == "refused by config.yaml":
            print(f"{part.class_path} {part.init_args}: {result}")
    print(f"{count} cases: " + ", ".join(f"{number} {result}" for result, number in results.items()))
    return results["failed"]


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    sys.exit(min(fuzz(options.count, options.seed), 1))
