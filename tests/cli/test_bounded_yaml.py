"""YAML is read within limits: each text below is refused in one line, before it takes memory or time."""

import os
import time
from pathlib import Path

import pytest
import yaml
from helpers.runs import FIT_DIGITS

from classifier.cli.bounded_yaml import MAX_NODES, check_text, load_text
from classifier.cli.function_commands import run_function
from classifier.cli.resolve import RECIPES
from classifier.errors import SettingError

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{inner}'] * 9)}]\n" for inner, name in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE = {
    "nested aliases": (LAUGHS, "is refused: more than 5,000 values, counting aliases"),
    "unknown keys": ("".join(f"key{i}: 1\n" for i in range(100_000)), "more than 1,000,000 bytes"),
    "some unknown keys": ("".join(f"key{i}: 1\n" for i in range(20_000)), "more than 5,000 values, counting aliases"),
    "classes": ("trainer:\n  callbacks:\n" + "  - ModelSummary\n" * 2000, "more than 5,000 values, counting aliases"),
    "depth": ("model: " + "[" * 500 + "]" * 500, "is refused: more than 30 levels"),
    "depth of the library": ("[" * 5000, "is not YAML: "),
    "depth in a text": (f"model: '{'[' * 50 + ']' * 50}'", "is refused: more than 30 levels"),
    "aliases in a text": (f"model: '{{{LAUGHS.replace(chr(10), ', ')}}}'", "is refused: more than 5,000 values"),
    "itself": ("model: &a [*a]", "is refused: line 1 contains itself by an alias"),
    "tag": (
        "model: !!python/object/apply:os.system [touch ran]",
        "is not YAML: line 1 has the tag tag:yaml.org,2002:py",
    ),
    "binary": ("model: !!binary aGk=", "is not YAML: line 1 has the tag tag:yaml.org,2002:binary"),
    "repeated key": ("model: MLP\ndata: Digits\nmodel: CNN\n", "is refused: line 3 repeats the key model"),
    "null character": ('data:\n  class_path: Digits\n  init_args: {root: "\\0"}', "line 3 contains a null character"),
    "null byte": ("model: MLP\0", "is not YAML: "),
    "long text": (f"model: {'x' * 5000}", "is refused: line 1 has a value of over 4,096 characters"),
    "long integer": (f"trainer: {{max_epochs: {'9' * 4000}}}", "is refused: an integer of more than 64 bits"),
    "hexadecimal": (f"trainer: {{max_epochs: 0x{'f' * 4000}}}", "is refused: an integer of more than 64 bits"),
    "pipe": ("model: pipe", "is refused: pipe is a pipe, not a file"),
    "list": ("- model\n- data\n", "is not a table of settings"),
    "list as a table": ("model: MLP\ndata: Digits\ntrainer: [max_epochs]\n", "--trainer: expected a table of settings"),
    "unknown key": ("model: MLP\ndata: Digits\ntrainer: {frequency: 3}\n", "'frequency'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_is_refused_in_one_line_and_in_short_time(fail, name):
    text, message = HOSTILE[name]
    Path("case.yaml").write_text(text)
    os.mkfifo("pipe")
    started = time.process_time()
    status, line = fail("fit", "--config", "case.yaml")
    assert time.process_time() - started < 3
    assert (status, message in line) == (2, True), line
    assert len(line) < 700
    assert not Path("ran").exists()


def test_hostile_text_in_place_of_a_file_is_refused_for_nested_files_and_plain_commands(fail):
    Path("case.yaml").write_text(LAUGHS)
    assert "more than 5,000 values" in fail("fit", "--config=digits", "--trainer=case.yaml")[1]
    Path("top.yaml").write_text("model: MLP\ndata: case.yaml\n")
    assert "more than 5,000 values" in fail("fit", "--config=top.yaml")[1]
    for option in ("--config=case.yaml", "-ccase.yaml"):
        assert "more than 5,000 values" in fail("export", "--output=x.pt2", option)[1]


def test_file_that_is_not_text_is_refused(fail):
    Path("latin.yaml").write_bytes(b"model: MLP # caf\xe9\n")
    message = "latin.yaml is not YAML: 'utf-8' codec can't decode byte 0xe9"
    assert message in fail("fit", "--config=latin.yaml")[1]
    assert message in fail("predict", "x.png", "--config=latin.yaml")[1]
    line = fail("fit", "--config=digits", "--trainer=latin.yaml")[1]
    assert "a configuration file cannot be read: 'utf-8' codec can't decode byte 0xe9" in line


@pytest.mark.parametrize("name", ["pipe", "folder", "/dev/zero"])
def test_path_that_is_not_a_regular_file_is_refused_without_reading_it(fail, name):
    os.mkfifo("pipe")
    Path("folder").mkdir()
    assert f"--config {name} is not a regular file" in fail("fit", "--config", name)[1]
    with pytest.raises(SettingError, match=f"--config {name} is not a regular file"):
        run_function(lambda: None, ["--config", name])


def test_files_of_the_program_are_far_below_the_limits(run):
    run(*FIT_DIGITS, "--trainer.max_epochs=1")
    text = Path("lightning_logs/version_0/config.yaml").read_text()
    for file in (text, *(path.read_text() for path in RECIPES.values())):
        assert load_text(file) == yaml.safe_load(file)
    with pytest.raises(SettingError):
        check_text("\n".join(f"{i}: {{{text.count(':')}: 0}}" for i in range(MAX_NODES)))
    assert text.count("\n") * 3 < MAX_NODES / 3


@pytest.mark.parametrize("text", ["'!photos'", "a & b * c", "{x, y}", "1e3", "2020-01-01", "[1, 2.5, null]", ""])
def test_ordinary_value_is_read_as_without_limits(text):
    expected = {"1e3": 1000.0, "2020-01-01": "2020-01-01", "{x, y}": "{x, y}"}.get(text, yaml.safe_load(text))
    assert load_text(text) == expected
