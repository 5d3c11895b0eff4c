"""The command line."""

import json
import re
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from conftest import write_fashion_mnist
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from classifier import MLP, Digits
from classifier.__main__ import main
from classifier.errors import UserError
from classifier.parser import shorten

DIGITS = ("fit", "--config=digits", "--pictures=false", "--trainer.max_epochs", "2")


def read_config(text: str) -> dict:
    return yaml.safe_load(text[text.index("seed_everything") :])


def read_results(run: str) -> dict:
    return json.loads(Path("lightning_logs", run, "results.json").read_text())


def load_last(run: str) -> dict:
    return torch.load(Path("lightning_logs", run, "checkpoints", "last.ckpt"), weights_only=True)


def get_weights(run: str) -> dict:
    return load_last(run)["state_dict"]


def test_a_run_leaves_config_hparams_events_checkpoint_and_results(run):
    run(*DIGITS)
    folder = Path("lightning_logs/version_0")
    names = sorted(re.sub(r"tfevents.*", "tfevents", file.name) for file in folder.iterdir())
    assert names == ["checkpoints", "config.yaml", "events.out.tfevents", "hparams.yaml", "results.json"]
    assert [file.name for file in (folder / "checkpoints").iterdir()] == ["last.ckpt"]
    assert sorted(Path().iterdir()) == [Path("lightning_logs")]


def test_the_same_seed_gives_the_same_weights_and_figures_twice_and_another_seed_others(run):
    run(*DIGITS)
    run(*DIGITS)
    run(*DIGITS, "--seed_everything", "1")
    first, second, other = (get_weights(f"version_{i}") for i in range(3))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["network.1.weight"], other["network.1.weight"])
    losses = [[epoch["loss/test"] for epoch in read_results(f"version_{i}")["epochs"]] for i in (0, 1)]
    assert losses[0] == losses[1]


def test_the_config_of_a_run_reruns_it_exactly(run):
    run(
        *DIGITS,
        "--model.lr",
        "0.05",
        "--data.val_split",
        "100",
        "--data.test_batch_size",
        "40",
        "--trainer.limit_val_batches",
        "2",
    )
    run("fit", "--config", "lightning_logs/version_0/config.yaml")
    first, second = get_weights("version_0"), get_weights("version_1")
    assert all(torch.equal(first[name], second[name]) for name in first)
    results = [read_results(f"version_{i}")["epochs"][-1] for i in (0, 1)]
    assert results[0]["images_scored"] == results[1]["images_scored"] == {"train": 1337, "val": 80, "test": 80}
    assert results[0]["loss/test"] == results[1]["loss/test"]


def test_test_needs_only_the_checkpoint_and_prints_what_fit_measured(run):
    run(*DIGITS)
    last = read_results("version_0")["epochs"][-1]
    printed = run("test", "--ckpt_path", "last")
    assert "checkpoint: lightning_logs/version_0/checkpoints/last.ckpt" in printed
    figures = f"test loss {last['loss/test']:.4f} accuracy {last['accuracy/test']:.2%} (360 images)"
    assert figures in printed
    assert f"  7              {last['accuracy_by_class/test']['7']:6.1%}" in printed
    assert figures in run("test", "--ckpt_path", "lightning_logs/version_0")
    assert figures in run("test", "--ckpt_path", "lightning_logs/version_0/checkpoints/last.ckpt")
    assert not Path("lightning_logs/version_1").exists()


def test_best_is_the_best_epoch_on_the_validation_images(run):
    run(*DIGITS[:3], "--data.val_split", "300", "--model.lr", "0.5", "--trainer.max_epochs", "6")
    epochs = read_results("version_0")["epochs"]
    best = max(epochs, key=lambda epoch: epoch["accuracy/val"])
    assert best["epoch"] != 6, "choose settings whose last epoch is not the best"
    printed = run("validate", "--ckpt_path", "best")
    assert f"val loss {best['loss/val']:.4f} accuracy {best['accuracy/val']:.2%} (300 images)" in printed
    assert f"val loss {epochs[-1]['loss/val']:.4f}" in run("validate", "--ckpt_path", "last")


def test_without_validation_images_best_is_the_last_epoch(run, fail):
    run(*DIGITS)
    assert "last.ckpt" in run("test", "--ckpt_path", "best")
    status, line = fail("validate", "--ckpt_path", "last")
    assert (status, "val_split is 0: use test" in line) == (2, True)


def test_last_is_the_newest_run(run):
    run(*DIGITS)
    run(*DIGITS, "--model.hidden_sizes", "[8]")
    assert "version_1" in run("test", "--ckpt_path", "last")


def test_a_run_of_a_notebook_is_found_by_its_folder_and_as_the_last(run):
    L.Trainer(max_epochs=1, accelerator="cpu", enable_progress_bar=False).fit(MLP(image_shape=(1, 8, 8)), Digits())
    for name in ("lightning_logs/version_0", "last", "best"):
        assert "(360 images)" in run("test", "--ckpt_path", name)


def test_options_given_win_over_those_in_the_checkpoint(run):
    run(*DIGITS)
    run(
        "fit",
        "--pictures=false",
        "--ckpt_path",
        "last",
        "--trainer.max_epochs",
        "3",
        "--model.lr",
        "0.5",
        "--data.batch_size",
        "32",
    )
    config = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert config["model"]["init_args"]["lr"] == 0.5
    assert config["data"]["init_args"]["batch_size"] == 32
    assert read_results("version_0")["epochs"][-1]["lr"] == 0.5


def test_a_resumed_run_goes_on_in_its_folder_to_the_weights_of_an_uninterrupted_one(run):
    run(*DIGITS)
    run("fit", "--pictures=false", "--ckpt_path", "last", "--trainer.max_epochs", "4")
    run(*DIGITS[:3], "--trainer.max_epochs", "4")
    assert [epoch["epoch"] for epoch in read_results("version_0")["epochs"]] == [1, 2, 3, 4]
    resumed, whole = get_weights("version_0"), get_weights("version_1")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    momenta = [
        [state["momentum_buffer"] for state in load_last(f"version_{i}")["optimizer_states"][0]["state"].values()]
        for i in (0, 1)
    ]
    assert all(torch.equal(a, b) for a, b in zip(*momenta, strict=True))
    timed = {"seconds", "speed/images_per_second"}
    resumed, whole = (read_results(f"version_{i}")["epochs"] for i in (0, 1))
    assert [{key: epoch[key] for key in epoch.keys() - timed} for epoch in resumed] == [
        {key: epoch[key] for key in epoch.keys() - timed} for epoch in whole
    ]


def test_a_run_resumed_from_an_earlier_epoch_continues_its_curves_without_a_stray_line(run):
    run(*DIGITS, "--data.val_split", "300")
    earlier = Path("lightning_logs/version_0/checkpoints/last.ckpt").read_bytes()
    run("fit", "--pictures=false", "--ckpt_path", "last", "--trainer.max_epochs", "4", "--model.lr", "0.3")
    Path("lightning_logs/version_0/checkpoints/last.ckpt").write_bytes(earlier)
    run("fit", "--pictures=false", "--ckpt_path", "last", "--trainer.max_epochs", "3")
    events = EventAccumulator("lightning_logs/version_0").Reload().Scalars("loss/test")
    assert [event.step for event in events] == [1, 2, 3]
    assert [event.value for event in events] == pytest.approx(
        [epoch["loss/test"] for epoch in read_results("version_0")["epochs"]]
    )


def test_a_resumed_run_knows_its_best_epoch_and_its_config_starts_it_anew(run):
    run(*DIGITS[:3], "--data.val_split", "300", "--trainer.max_epochs", "3")
    best = max(epoch["accuracy/val"] for epoch in read_results("version_0")["epochs"])
    checkpoint = torch.load("lightning_logs/version_0/checkpoints/last.ckpt", weights_only=True)
    assert checkpoint["callbacks"]["best"]["best_model_score"].item() == pytest.approx(best)
    run("fit", "--pictures=false", "--ckpt_path", "last", "--trainer.max_epochs", "4")
    assert [epoch["epoch"] for epoch in read_results("version_0")["epochs"]] == [1, 2, 3, 4]
    run("fit", "--config", "lightning_logs/version_0/config.yaml")
    assert [epoch["epoch"] for epoch in read_results("version_1")["epochs"]] == [1, 2, 3, 4]


def test_a_finished_run_is_not_resumed_without_more_epochs(run, fail):
    run(*DIGITS)
    config = Path("lightning_logs/version_0/config.yaml").read_text()
    status, line = fail("fit", "--ckpt_path", "last")
    assert (status, "has done 2 of 2 epochs: to go on, give --trainer.max_epochs above 2" in line) == (2, True), line
    assert Path("lightning_logs/version_0/config.yaml").read_text() == config


def test_steps_and_time_are_not_cut_short_by_a_number_of_epochs(run):
    write_fashion_mnist(Path("data"))
    printed = run("fit", "--trainer.max_steps", "155")  # 31 epochs of 5 steps
    assert [line for line in printed.splitlines() if line.startswith("epoch 31  ")]


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
def test_every_network_and_data_set_brings_its_own_defaults(capsys, arguments, model, data):
    with pytest.raises(SystemExit) as stop:
        main(["fit", *arguments, "--print_config"])
    assert stop.value.code == 0
    config = read_config(capsys.readouterr().out)
    settings = {"class_path": config["model"]["class_path"], **config["model"]["init_args"]}
    assert {key: settings[key] for key in model} == model
    assert config["data"]["class_path"] == f"classifier.{data}"
    assert config["data"]["init_args"]["batch_size"] == (4 if data == "CIFAR10" else 64)


def test_the_bare_command_is_the_tutorials_recipe(run):
    write_fashion_mnist(Path("data"))
    run("fit", "--trainer.max_epochs", "1")
    config = yaml.safe_load(Path("lightning_logs/version_0/config.yaml").read_text())
    assert config["seed_everything"] == 0
    assert config["model"]["init_args"]["hidden_sizes"] == [256, 128]
    assert read_results("version_0")["epochs"][0]["images_scored"] == {"train": 300, "test": 130}


@pytest.mark.usefixtures("cifar_root")
def test_any_network_goes_with_any_data(run):
    write_fashion_mnist(Path())
    run("fit", "--model", "CNN", "--data", "FashionMNIST", "--data.root", ".", "--trainer.max_epochs", "1")
    run("fit", "--model", "MLP", "--data", "CIFAR10", "--trainer.max_epochs", "1")
    assert get_weights("version_0")["network.conv1.weight"].shape == (6, 1, 5, 5)
    assert get_weights("version_1")["network.1.weight"].shape == (256, 3072)


def test_a_run_may_have_no_logger_no_checkpoints_and_no_bar(run):
    options = ("--trainer.logger", "false", "--trainer.enable_checkpointing", "false")
    printed = run(*DIGITS, *options, "--trainer.enable_progress_bar", "false")
    assert "epoch 2/2" in printed
    assert not list(Path().iterdir())


def test_callbacks_of_the_user_are_added_to_our_own(run):
    printed = run(
        *DIGITS,
        "--trainer.callbacks",
        "EarlyStopping",
        "--trainer.callbacks.monitor",
        "loss/test",
        "--trainer.callbacks.divergence_threshold",
        "0.0",
    )
    assert "epoch 1/2" in printed
    assert "epoch 2/2" not in printed
    assert len(read_results("version_0")["epochs"]) == 1


def test_runs_go_where_default_root_dir_says(run):
    run(*DIGITS, "--trainer.default_root_dir", "runs")
    assert Path("runs/lightning_logs/version_0/results.json").is_file()
    assert "runs/lightning_logs" in run("test", "--ckpt_path", "last", "--trainer.default_root_dir", "runs")


def test_a_run_goes_on_in_its_folder_wherever_that_is_with_its_own_settings(run):
    run(*DIGITS, "--trainer.default_root_dir", "runs", "--trainer.limit_train_batches", "5")
    run("fit", "--pictures=false", "--ckpt_path", "runs/lightning_logs/version_0", "--trainer.max_epochs", "3")
    assert [path.name for path in Path("runs/lightning_logs").iterdir()] == ["version_0"]
    assert not Path("lightning_logs").exists()
    epochs = json.loads(Path("runs/lightning_logs/version_0/results.json").read_text())["epochs"]
    assert [epoch["images_scored"]["train"] for epoch in epochs] == [320, 320, 320]


def test_a_resumption_that_is_refused_leaves_the_run_as_it_is(run, fail):
    run(*DIGITS)
    before = {path: path.read_bytes() for path in Path("lightning_logs").rglob("*") if path.is_file()}
    options = ("--model.hidden_sizes=[32]", "--trainer.max_epochs", "4")
    assert "does not fit this MLP" in fail("fit", "--ckpt_path", "last", *options)[1]
    assert {path: path.read_bytes() for path in Path("lightning_logs").rglob("*") if path.is_file()} == before


def test_a_resumed_run_whose_results_are_damaged_records_what_comes_after(run):
    run(*DIGITS)
    Path("lightning_logs/version_0/results.json").write_text("{")
    run("fit", "--pictures=false", "--ckpt_path", "last", "--trainer.max_epochs", "3")
    assert [epoch["epoch"] for epoch in read_results("version_0")["epochs"]] == [3]


def test_a_limit_in_a_file_is_not_cut_short_by_a_number_of_epochs(run):
    Path("steps.yaml").write_text("model: MLP\ndata: Digits\ntrainer:\n  max_steps: 713\n")  # 31 epochs of 23 steps
    printed = run("fit", "--config", "steps.yaml", "--pictures=false")
    assert [line for line in printed.splitlines() if line.startswith("epoch 31  ")]


def test_a_trial_run_leaves_nothing(run):
    run(*DIGITS, "--trainer.fast_dev_run", "true")
    assert not list(Path().iterdir())


def test_threads_are_what_is_asked_for(run):
    run(*DIGITS, "--threads", "2")
    assert torch.get_num_threads() == 2
    assert read_results("version_0")["threads"] == 2


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("", 2, "to be one of {fit,validate,test,predict,export}"),
        ("frob", 2, "choose from 'fit', 'validate', 'test', 'predict', 'export'"),
        ("fit --modle MLP", 2, "unrecognized arguments: --modle MLP; did you mean --model?"),
        ("fit --trainer.max_epohs 3", 2, "did you mean --trainer.max_epochs?"),
        ("fit --model MPL", 2, "--model: MPL is none of Airbench, CNN, "),
        ("fit --data FashonMNIST", 2, "--data: FashonMNIST is none of CIFAR10, Digits, FashionMNIST"),
        ("fit --model ImageClassifier", 2, "--model: ImageClassifier is none of Airbench, CNN, "),
        ("fit --model.foo 3", 2, "--model: Option 'foo' is not accepted"),
        ("fit --model.lr abc", 2, "lr: Expected a float. Got value: abc"),
        ("fit --model.lr -1", 2, "lr must be above 0, not -1.0"),
        (
            "fit --config digits --model CNN",
            2,
            "CNN needs images of at least 16x16 pixels, these have 8x8: use the MLP",
        ),
        ("fit --config digits --data.batch_size 0", 2, "batch_size must be above 0, not 0"),
        ("fit --config digits --data.val_split 5000", 2, "val_split must be below the 1437 images, not 5000"),
        ("fit --model.num_classes 5", 2, "num_classes comes from the data: leave it out"),
        ("fit --model.init_args.image_shape=[1,2,3]", 2, "image_shape comes from the data: leave it out"),
        ("fit --trainer.max_epochs x", 2, "--trainer.max_epochs: Expected a int"),
        ("fit --config digits --trainer.max_epochs 0", 2, "max_epochs must be above 0, or -1 for no end, not 0"),
        ("fit --config digits --trainer.max_epochs -2", 2, "max_epochs must be above 0, or -1 for no end, not -2"),
        ("fit --config digits --model.hidden_sizes=[8,0]", 2, "hidden_sizes must be above 0, not (8, 0)"),
        ("fit --config unknown.yaml", 2, "fequency"),
        ("fit --config foreign.yaml", 2, "--data: my_data.Mine is not part of classifier; if you trust it, add"),
        ("fit --allow_import os;id", 2, "--allow_import: Expected import path entries"),
        ("fit --config digits --trainer.default_root_dir text.ckpt", 1, "no run can be made in text.ckpt/lightning"),
        ("fit --threads -1", 2, "--threads"),
        (
            "fit --config nope",
            2,
            "--config nope: no such file, and the recipes are cifar10, cifar10_best",
        ),
        ("fit --config resumed.yaml", 2, "ckpt_path belongs on the command line"),
        ("fit --trainer.callbacks Foo", 2, "Foo"),
        ("test --ckpt_path", 2, "--ckpt_path: expected one argument"),
        ("validate --ckpt_path last --data.val_split 9", 2, "held out of training is in the checkpoint"),
        ("test --ckpt_path foreign.ckpt", 2, "foreign.ckpt names no data set: add --data"),
        ("fit --config broken.yaml", 2, "--config broken.yaml is not YAML"),
        ("fit --config classes.yaml", 2, "num_classes comes from the data: leave it out"),
        ("fit --config digits --trainer.accelerator frob", 2, "frob"),
        ("fit --data.root nowhere --data.download false", 1, "nowhere/FashionMNIST/raw: train-images-idx3-ubyte"),
        ("test", 2, "--ckpt_path last, best, a run's folder or a file"),
        ("test --ckpt_path last", 1, "there is no run with a checkpoint under lightning_logs"),
        ("test --ckpt_path nope.ckpt", 1, "there is no file nope.ckpt"),
        ("test --ckpt_path text.ckpt", 1, "text.ckpt is not a checkpoint of classifier, or is damaged"),
        ("test --ckpt_path plain.ckpt", 1, "plain.ckpt is not a checkpoint of classifier, or is damaged"),
        (
            "test --ckpt_path stranger.ckpt",
            2,
            "--model: os.system is not part of classifier; if you trust it, add --allow_import os",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(fail, monkeypatch, arguments, status, message):
    Path("text.ckpt").write_text("no checkpoint")
    Path("broken.yaml").write_text("model: [")
    Path("classes.yaml").write_text("model:\n  class_path: MLP\n  init_args:\n    num_classes: 5\ndata: Digits\n")
    Path("unknown.yaml").write_text("model: MLP\ndata: Digits\ntrainer:\n  fequency: 3\n")
    Path("foreign.yaml").write_text("model: MLP\ndata:\n  class_path: my_data.Mine\n")
    Path("my_data.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(".")
    torch.save({"weight": torch.zeros(2)}, "plain.ckpt")
    Path("resumed.yaml").write_text("model: MLP\ndata: Digits\nckpt_path: last\n")
    foreign = {"classes": {"model": "classifier.models.MLP"}, "hyper_parameters": {}, "state_dict": {}, "epoch": 0}
    torch.save(foreign, "foreign.ckpt")
    torch.save({**foreign, "classes": {"model": "os.system", "data": "classifier.Digits"}}, "stranger.ckpt")
    code, line = fail(*arguments.split())
    assert (code, message in line) == (status, True), line


def test_a_checkpoint_of_another_network_or_data_set_is_refused(run, fail):
    run(*DIGITS)
    write_fashion_mnist(Path("data"))
    assert "was trained to tell 0, 1" in fail("test", "--ckpt_path", "last", "--data", "FashionMNIST")[1]
    status, line = fail("test", "--ckpt_path", "last", "--model.hidden_sizes", "[8]")
    assert (status, "does not fit" in line) == (1, True), line


def test_a_truncated_checkpoint_is_refused(run, fail):
    run(*DIGITS)
    file = Path("lightning_logs/version_0/checkpoints/last.ckpt")
    file.write_bytes(file.read_bytes()[:-1000])
    status, line = fail("test", "--ckpt_path", "last")
    assert (status, "is damaged" in line) == (1, True), line


MINE = """
import pathlib
from classifier import Digits
pathlib.Path("imported").touch()

class Mine(Digits):
    "Digits under another name."
"""


def test_a_class_that_a_file_names_is_imported_only_if_the_command_line_allows_it(start):
    Path("mine.py").write_text(MINE)
    Path("mine.yaml").write_text("model: MLP\ndata:\n  class_path: mine.Mine\n")
    stored = {"hyper_parameters": {}, "state_dict": {}, "epoch": 0}
    torch.save({**stored, "classes": {"model": "classifier.MLP", "data": "mine.Mine"}}, "evil.ckpt")

    def finish(*args):
        process = start(*args)  # each in a process of its own, in which nothing was allowed or imported before
        process.join()
        return process.exitcode, Path("out").read_text() + Path("err").read_text()

    for refused in (("fit", "--config", "mine.yaml"), ("test", "--ckpt_path", "evil.ckpt")):
        status, text = finish(*refused)
        assert "mine.Mine is not part of classifier; if you trust it, add --allow_import mine" in text
        assert status == 2
        assert not Path("imported").exists()
    fit = ("fit", "--config", "mine.yaml", "--trainer.max_epochs", "1")
    assert "on Mine (1,437 train" in finish(*fit, "--allow_import", "mine")[1]
    assert "(360 images)" in finish("test", "--ckpt_path", "last", "--allow_import", "mine")[1]
    assert finish("test", "--ckpt_path", "last")[0] == 2


def test_an_environment_variable_shows_where_in_the_program_an_error_comes_from(monkeypatch):
    monkeypatch.setenv("CLASSIFIER_TRACEBACK", "1")
    with pytest.raises(UserError, match="no run with a checkpoint"):
        main(["test", "--ckpt_path", "last"])


def test_shorten_keeps_a_message_that_is_a_line_already():
    assert shorten("expected one argument") == "expected one argument"


def test_help_is_short_and_has_a_sentence_for_every_option_of_its_own(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 200
    for option in ("--trainer.max_epochs", "--trainer.accelerator", "--model", "--data", "--threads", "--ckpt_path"):
        assert option in text
    assert "--trainer.barebones" not in text


def test_a_default_run_as_a_program_prints_no_warning_and_no_tip(run_program):
    done = run_program(*DIGITS)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3 + 12 + 3
