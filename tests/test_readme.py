"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest
import yaml
from conftest import REPOSITORY

from classifier.__main__ import main

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("#")[0].split()
    for language, block in BLOCKS
    if language == "bash"
    for line in block.splitlines()
    if line.startswith("python -m classifier fit")
]
RECIPES = ("fashion_mnist", "cifar10")
PYTHON = [block for language, block in BLOCKS if language == "python"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_fit_command_is_understood(command, capsys):
    if "--ckpt_path" in command:
        pytest.skip("needs a run; resuming is tested with the command line")
    Path("my.yaml").write_text("model: MLP\ndata: Digits\n")
    with pytest.raises(SystemExit) as stop:
        main([*command[3:], "--print_config"])
    assert stop.value.code == 0
    assert "seed_everything" in yaml.safe_load(capsys.readouterr().out)


def test_the_notebook_example_trains_and_predicts(cifar_root):
    assert cifar_root.name == "data"
    namespace = {}
    exec(PYTHON[0], namespace)  # noqa: S102
    assert len(namespace["predictions"]) == 8
    assert set(namespace["predictions"]) <= set(namespace["data"].class_names)


def test_a_data_set_and_a_network_added_as_shown_train_together(run, start, monkeypatch, tmp_path):
    Path("my_module.py").write_text("\n".join(PYTHON[1:]))
    monkeypatch.syspath_prepend(tmp_path)
    added = ("--data", "my_module.Stripes", "--model", "my_module.Linear")
    assert "epoch 3/3" in run("fit", *added, "--trainer.max_epochs", "3")
    figures = run("test", "--ckpt_path", "last").splitlines()[1]
    assert figures.endswith("(1,000 images)")
    start("test", "--ckpt_path", "last", *added).join()  # in a process that has not imported the module
    assert figures in Path("out").read_text()


def test_every_recipe_stands_in_the_result_table():
    for recipe in (REPOSITORY / "classifier" / "recipes").glob("*.yaml"):
        assert re.search(rf"^\| `{recipe.stem}` \|", README, re.MULTILINE), recipe.stem


def test_every_file_that_is_linked_is_there():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert all((REPOSITORY / link).is_file() for link in links)
    assert all((REPOSITORY / f"lightning_logs/tutorial_{name}/results.json").is_file() for name in RECIPES)
