"""Paths in options and files."""

from pathlib import Path

import pytest
from helpers.runs import FIT_DIGITS
from jsonargparse import Namespace
from PIL import Image

from classifier.cli.main import main
from classifier.cli.paths import PATH_OPTIONS, expand_argv, expand_path, expand_settings
from classifier.errors import SettingError
from classifier.runs.folders import find_checkpoint


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("~", "{home}"),
        ("~/runs", "{home}/runs"),
        ("runs", "runs"),
        ("./~", "{here}/~"),
        ("./~/a", "{here}/~/a"),
        ("./~nobody.s", "./~nobody.s"),
        ("a~b", "a~b"),
        ("a:/b", "a:/b"),
    ],
)
def test_home_folder_is_expanded_and_every_other_path_is_kept(tmp_path, given, path):
    assert expand_path("--output", given) == path.format(home=tmp_path / "home", here=Path.cwd())


@pytest.mark.parametrize("option", sorted(PATH_OPTIONS - {"c", "paths", "runs"}))
def test_every_option_for_a_path_refuses_an_address_and_an_unknown_user(option):
    with pytest.raises(SettingError, match=f"^--x.{option} must be a local path, not s3://bucket/x$"):
        expand_argv([f"--x.{option}", "s3://bucket/x"])
    with pytest.raises(SettingError, match=f"^--x.{option} ~nobody.s/x: there is no user nobody.s; .* write ./~nobody"):
        expand_argv([f"--x.{option}=~nobody.s/x"])


def test_file_whose_name_begins_with_a_tilde_is_kept_if_it_exists():
    Path("~$scan.png").touch()
    assert expand_path("paths", "~$scan.png") == "~$scan.png"


@pytest.mark.parametrize("path", ["#c", "[a]", "{a}", "- a", "&a", "# ~"])
def test_path_on_the_command_line_that_yaml_would_read_as_something_else_is_taken_literally(path):
    assert expand_argv(["--data.root", path, f"--trainer.logger.save_dir={path}"]) == [
        *("--data.root", f"./{path}"),
        f"--trainer.logger.save_dir=./{path}",
    ]


@pytest.mark.parametrize("path", ["a", "null", "1", "true", "", "a #c", "*", "!a"])
def test_path_on_the_command_line_that_the_parser_takes_literally_is_kept(path):
    assert expand_argv([f"--data.root={path}"]) == [f"--data.root={path}"]


def test_folder_whose_name_yaml_reads_as_a_comment_can_be_used(run):
    for folder in ("#c/a", "#c/b"):
        Path(folder).mkdir(parents=True)
        Image.new("L", (8, 8)).save(Path(folder, "1.png"))
    assert run("inspect", "--data", "ImageFolder", "--data.root", "#c").startswith("ImageFolder #c: 2 images in 2")


def test_other_options_and_values_that_are_options_are_kept():
    argv = ["--model.lr", "~", "--data.root", "--trainer.max_epochs=~", "~", "--output"]
    assert expand_argv(argv) == argv


def test_paths_in_files_are_expanded_wherever_they_are(tmp_path):
    part = Namespace(class_path="X", init_args=Namespace(dirpath="~/a", save_dir=None), dict_kwargs={"dir": "~/b"})
    config = Namespace(trainer=Namespace(callbacks=[part], profiler="~"), data=Namespace(root="~/c"), paths=["~", "x"])
    expand_settings(config)
    home = str(tmp_path / "home")
    assert (part.init_args.dirpath, part.dict_kwargs["dir"]) == (f"{home}/a", f"{home}/b")
    assert (config.data.root, config.paths, config.trainer.profiler) == (f"{home}/c", [home, "x"], "~")
    with pytest.raises(SettingError, match=r"^--trainer.callbacks.dirpath must be a local path, not s3://x"):
        expand_settings(Namespace(trainer=Namespace(callbacks=[Namespace(init_args=Namespace(dirpath="s3://x"))])))


def test_run_is_written_below_the_home_folder_and_found_there(run, tmp_path):
    Path("more.yaml").write_text("trainer:\n  default_root_dir: ~/runs\n")
    run(*FIT_DIGITS, "--config", "~/../more.yaml", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1")
    assert not Path("~").exists()
    folder = tmp_path / "home" / "runs" / "lightning_logs" / "version_0"
    assert find_checkpoint("last").resolve() == folder / "checkpoints" / "last.ckpt"


def test_folder_that_is_called_like_the_home_folder_can_be_written_to_and_resumed(run, tmp_path):
    Path("~more.yaml").write_text("data:\n  init_args:\n    val_split: 100\n")
    options = ("--trainer.limit_train_batches=1", "--trainer.default_root_dir=./~", "--config=./~more.yaml")
    run(*FIT_DIGITS, "--trainer.max_epochs=1", *options)
    run("fit", "--ckpt_path=last", "--trainer.max_epochs=2")
    names = {path.name for path in Path("~", "lightning_logs", "version_0").iterdir()}
    assert {"config.yaml", "hparams.yaml", "results.json", "checkpoints"} < names
    assert not list((tmp_path / "home").iterdir())


def test_address_in_a_function_command_is_refused_before_any_work(capsys):
    for argv in (
        ["export", "--output=s3://x/model.onnx"],
        ["predict", "s3://x/a.png"],
        ["clear_cache", "--cache_dir=s3://x"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert (stop.value.code, "must be a local path, not s3://x" in capsys.readouterr().err) == (2, True)
