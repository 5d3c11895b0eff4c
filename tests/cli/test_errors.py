"""User errors: each is printed as one line that names the problem and, where there is one, the way out."""

from pathlib import Path

import pytest
import torch
from helpers.data_files import write_fashion_mnist
from helpers.runs import FIT_DIGITS, LOGS

SETTINGS = [
    ("fit --modle MLP", "unrecognized arguments: --modle MLP; did you mean --model?"),
    ("fit --trainer.max_epohs 3", "did you mean --trainer.max_epochs?"),
    ("fit --model MPL", "--model: MPL is none of Airbench, CNN, "),
    ("fit --data FashonMNIST", "--data: FashonMNIST is none of CIFAR10, CIFAR100, "),
    ("fit --model ImageClassifier", "--model: ImageClassifier is none of Airbench, CNN, "),
    ("fit --data.root null", "root must be a local path, not None"),
    ("fit --model.foo 3", "--model.foo does not exist"),
    ("fit --model.lr abc", "lr: Expected a float. Got value: abc"),
    ("fit --model.lr -1", "lr must be above 0, not -1.0"),
    ("fit --config digits --model CNN", "CNN needs images of at least 16x16 pixels, these have 8x8: use the MLP"),
    ("fit --config digits --data.batch_size 0", "batch_size must be above 0, not 0"),
    ("fit --config digits --data.val_split 5000", "val_split must be from 10 to 1,427, so that"),
    ("fit --model.num_classes 5", "num_classes comes from the data: leave it out"),
    ("fit --model.init_args.image_shape=[1,2,3]", "image_shape comes from the data: leave it out"),
    ("fit --trainer.max_epochs x", "--trainer.max_epochs: Expected a int"),
    ("fit --config digits --trainer.max_epochs 0", "max_epochs must be above 0, or -1 for no limit, not 0"),
    ("fit --config digits --trainer.max_epochs -2", "max_epochs must be above 0, or -1 for no limit, not -2"),
    ("fit --config digits --model.hidden_sizes=[8,0]", "hidden_sizes must be above 0, not (8, 0)"),
    ("fit --config unknown.yaml", "fequency"),
    ("fit --config foreign.yaml", "--data: my_data.Mine is not part of classifier; if you trust it, add"),
    ("fit --allow_import os;id", "--allow_import: Expected import path entries"),
    ("fit --threads -1", "--threads"),
    ("fit --config nope", "--config nope: no such file, and the recipes are cifar10, cifar10_best"),
    ("fit --config resumed.yaml", "ckpt_path belongs on the command line"),
    ("fit --trainer.callbacks Foo", "Foo"),
    ("test --ckpt_path", "--ckpt_path: expected one argument"),
    ("validate --ckpt_path last --data.val_split 9", "held out of training is stored in the checkpoint"),
    ("test --ckpt_path foreign.ckpt", "foreign.ckpt names no dataset: add --data"),
    ("fit --config broken.yaml", "--config broken.yaml is not YAML"),
    ("fit --config classes.yaml", "num_classes comes from the data: leave it out"),
    ("fit --config digits --trainer.accelerator frob", "frob"),
    (
        "test --ckpt_path stranger.ckpt",
        "--model: os.system is not part of classifier; if you trust it, add --allow_import os",
    ),
]
OUTSIDE = [
    ("fit --config digits --trainer.default_root_dir text.ckpt", "no run can be created in text.ckpt/lightning"),
    ("fit --data.root nowhere --data.download false", "nowhere/FashionMNIST/raw: train-images-idx3-ubyte"),
    ("test", "--ckpt_path last: there is no run with a checkpoint under lightning_logs"),
    ("validate", "--ckpt_path last: there is no run with a checkpoint under lightning_logs"),
    ("test --ckpt_path last", "there is no run with a checkpoint under lightning_logs"),
    ("test --ckpt_path nope.ckpt", "there is no file nope.ckpt; give last, best, a run's name or folder"),
    ("test --ckpt_path text.ckpt", "text.ckpt is not a checkpoint of classifier, or is damaged"),
    ("test --ckpt_path plain.ckpt", "plain.ckpt is not a checkpoint of classifier, or is damaged"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [*((arguments, 2, message) for arguments, message in SETTINGS), *((a, 1, message) for a, message in OUTSIDE)],
)
def test_user_error_is_one_line_that_names_the_problem(fail, monkeypatch, arguments, status, message):
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
    foreign["pytorch-lightning_version"] = "2.6.6"
    torch.save(foreign, "foreign.ckpt")
    torch.save({**foreign, "classes": {"model": "os.system", "data": "classifier.Digits"}}, "stranger.ckpt")
    code, line = fail(*arguments.split())
    assert (code, message in line) == (status, True), line


def test_data_set_or_network_that_does_not_fit_the_checkpoint_is_refused(run, fail):
    run(*FIT_DIGITS, "--trainer.max_epochs=2")
    write_fashion_mnist(Path("data"))
    assert "was trained on the classes 0, 1" in fail("test", "--ckpt_path", "last", "--data", "FashionMNIST")[1]
    status, line = fail("test", "--ckpt_path", "last", "--model.hidden_sizes", "[8]")
    assert (status, "does not fit" in line) == (1, True), line


def test_truncated_checkpoint_is_refused(run, fail):
    run(*FIT_DIGITS, "--trainer.max_epochs=2")
    file = LOGS / "version_0" / "checkpoints" / "last.ckpt"
    file.write_bytes(file.read_bytes()[:-1000])
    status, line = fail("test", "--ckpt_path", "last")
    assert (status, "is damaged" in line) == (1, True), line
