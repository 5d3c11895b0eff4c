"""Names of recipes and checkpoints, and the defaults of networks and datasets."""

from pathlib import Path

import pytest
import yaml
from helpers.runs import FIT_DIGITS

from classifier.callbacks.loop_state import START
from classifier.cli.main import main
from classifier.cli.resolve import (
    RECIPES,
    find_config,
    print_outside_paths,
    resolve_argv,
)
from classifier.errors import SettingError


@pytest.mark.parametrize(
    ("arguments", "model", "data"),
    [
        ((), {"class_path": "classifier.MLP", "lr": 0.01, "momentum": 0.0}, "FashionMNIST"),
        (("--model", "CNN"), {"class_path": "classifier.CNN", "lr": 0.001, "momentum": 0.9}, "FashionMNIST"),
        (("--config", "cifar10"), {"class_path": "classifier.CNN", "lr": 0.001, "momentum": 0.9}, "CIFAR10"),
        (("--config", "fashion_mnist", "--data", "CIFAR10"), {"class_path": "classifier.MLP", "lr": 0.01}, "CIFAR10"),
        (("--config=cifar10", "--model", "MLP", "--model.lr=0.3"), {"lr": 0.3, "momentum": 0.0}, "CIFAR10"),
    ],
    ids=str,
)
def test_every_network_and_data_set_has_its_own_defaults(capsys, arguments, model, data):
    with pytest.raises(SystemExit) as stop:
        main(["fit", *arguments, "--print_config"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    config = yaml.safe_load(text[text.index("seed_everything") :])
    settings = {"class_path": config["model"]["class_path"], **config["model"]["init_args"]}
    assert {key: settings[key] for key in model} == model
    assert config["data"]["class_path"] == f"classifier.{data}"
    assert config["data"]["init_args"]["batch_size"] == (4 if data == "CIFAR10" else 64)


def test_file_of_the_user_wins_over_a_recipe_of_the_same_name():
    assert find_config("digits") == str(RECIPES["digits"])
    Path("digits").write_text("model: CNN\n")
    assert find_config("digits") == "digits"


@pytest.mark.parametrize("arguments", [["-c", "digits"], ["--config", "digits"], ["--config=digits"], ["-c=digits"]])
def test_name_of_a_recipe_becomes_its_path_behind_the_default_network_and_data(arguments):
    resolved = resolve_argv("fit", [*arguments, "--model.lr=0.3"])
    assert resolved.argv[:2] == ["--model=MLP", "--data=FashionMNIST"]
    path = str(RECIPES["digits"])
    assert resolved.argv[2:] in (
        ["-c", path, "--model.lr=0.3"],
        ["--config", path, "--model.lr=0.3"],
        [f"--config={path}", "--model.lr=0.3"],
    )
    assert (resolved.ckpt_path, resolved.resumed_run, resolved.position) == (None, None, START)


def test_settings_of_a_checkpoint_precede_the_options_and_name_the_run_that_continues(run):
    run(*FIT_DIGITS, "--trainer.max_epochs=2", "--model.hidden_sizes=[8]")
    run_dir = Path("lightning_logs/version_0")
    resolved = resolve_argv("fit", ["--ckpt_path", "last", "--model.lr=0.3"])
    assert resolved.argv[0] == f"--config={run_dir / 'config.yaml'}"
    model, data = (yaml.safe_load(argument.partition("=")[2]) for argument in resolved.argv[1:3])
    assert (model["class_path"], model["init_args"]["hidden_sizes"]) == ("classifier.MLP", [8])
    assert not {"image_shape", "num_classes"} & set(model["init_args"])
    assert data["class_path"] == "classifier.Digits"
    assert resolved.argv[3:] == ["--ckpt_path", "last", "--model.lr=0.3"]
    assert resolved.ckpt_path == run_dir / "checkpoints" / "last.ckpt"
    assert (resolved.resumed_run, resolved.position.epochs) == (run_dir, 2)
    scored = resolve_argv("test", [])
    assert (scored.ckpt_path, scored.resumed_run, scored.position) == (resolved.ckpt_path, None, START)


@pytest.mark.parametrize(
    "option", ["--model.num_classes", "--model.init_args.num_classes=3", "--model.image_shape=[1]"]
)
def test_argument_that_comes_from_the_data_is_refused(option):
    with pytest.raises(SettingError, match="comes from the data: leave it out"):
        resolve_argv("fit", [option])


def test_configuration_file_of_version_0_1_gets_the_current_names_of_its_options():
    Path("old.yaml").write_text(
        "model: MLP\ndata:\n  class_path: ImageFolder\n  init_args:\n    root: pets\n    test_share: 0.3\n"
    )
    settings = yaml.safe_load(find_config("old.yaml"))
    assert settings["data"]["init_args"] == {"root": "pets", "test_split": 0.3}
    assert settings["model"] == "MLP"


def test_class_names_of_a_checkpoint_do_not_pass_through_the_parser(run):
    run(*FIT_DIGITS, "--trainer.max_epochs=1", "--model.hidden_sizes=[8]")
    resolved = resolve_argv("test", [])
    assert resolved.class_names == tuple("0123456789")
    assert not any("class_names" in argument for argument in resolved.argv)


def test_paths_outside_the_folder_are_printed_unless_the_command_line_replaces_them(capsys):
    settings = {"data": {"class_path": "classifier.Digits", "init_args": {"root": "/elsewhere/images"}}}
    print_outside_paths(settings, ["--ckpt_path=last"])
    line = "the checkpoint sets data.root to /elsewhere/images, which is outside the current folder\n"
    assert capsys.readouterr().out == line
    print_outside_paths(settings, ["--data.init_args.root=images"])
    assert capsys.readouterr().out == ""
