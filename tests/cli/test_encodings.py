"""Names with any characters in environments whose encodings do not have them."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.processes import REPOSITORY
from PIL import Image

ASCII = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(REPOSITORY)}
LOCALES = [{"LANG": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]


def run_in(environment: dict[str, str], *args: str) -> str:
    """Run a command in an environment, and return its standard output, which must be ASCII."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON", "PL_"))}
    command = [sys.executable, "-m", "classifier", *args]
    done = subprocess.run(command, env={**kept, **ASCII, **environment}, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return done.stdout.decode("ascii")


@pytest.mark.slow
@pytest.mark.parametrize("environment", LOCALES, ids=["coerced", "ascii"])
def test_names_that_the_locale_lacks_work_in_every_command_and_are_whole_in_files(environment):
    generator = np.random.default_rng(0)
    for name in ("caf\xe9", "\u732b"):
        Path("b\xfccher", name).mkdir(parents=True)
        for number in range(8):
            pixels = generator.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(Path("b\xfccher", name, f"{number}\xe9.png"))
    data = ("--data", "ImageFolder", "--data.root", "b\xfccher")
    small = ("--data.image_size=8", "--pictures=false", "--trainer.max_epochs=1")
    assert "b\\xfccher: 16 images in 2 classes" in run_in(environment, "fit", *data, *small)
    run_in(environment, "test", "--ckpt_path=last", "--output=scores.csv", "--data.test_split=all")
    run_in(environment, "predict", "b\xfccher", "--output=predictions.csv")
    for file, column in (("scores.csv", 1), ("predictions.csv", 1)):
        with Path(file).open(newline="", encoding="utf-8") as table:
            rows = list(csv.reader(table))
        assert rows[0][-2:] == ["caf\xe9", "\u732b"]
        assert {row[0][-6:] for row in rows[1:]} == {f"{number}\xe9.png" for number in range(8)}
        assert {row[column] for row in rows[1:]} <= {"caf\xe9", "\u732b"}
    printed = run_in(environment, "inspect", *data)
    assert "ImageFolder b\\xfccher: 16 images in 2 classes" in printed
