"""What README and docs show works as shown."""

import json
import re
import shlex
import shutil
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

import lightning as L
import pytest
import torch
import yaml
from helpers.data_files import make_images
from helpers.photographs import make_photographs
from helpers.processes import REPOSITORY
from PIL import Image
from sklearn.metrics import f1_score

from classifier import MLP, Digits, ResultsRecorder, export_classifier, read_image
from classifier.cli.main import main

PAGES = {
    path.name: path.read_text() for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
}
BLOCKS = [
    (page, *block) for page, text in PAGES.items() for block in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
]
LINES = [
    line for _, language, block in BLOCKS if language == "bash" for line in block.replace("\\\n", " ").splitlines()
]
# Arguments of every command of the package, however it is started, without duplicates.
COMMANDS = list(
    dict.fromkeys(re.sub(r"^.*-m classifier\s*|\s*(#|\| ).*$", "", line) for line in LINES if "-m classifier" in line)
)
OWN_IMAGES = [
    command
    for command in COMMANDS
    if re.search("pets|labels.csv", command) and "num_nodes" not in command  # a cluster
]
DIGITS = ("fit --config digits", "test", "validate", "report last", "report best", "runs", "predict", "export")
README = PAGES["README.md"]
RECIPES = [path.stem for path in (REPOSITORY / "classifier" / "recipes").glob("*.yaml")]


def get_python_blocks(page: str) -> list[str]:
    return [block for name, language, block in BLOCKS if (name, language) == (page, "python")]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """Train on the digits once, with validation images, and return the folder of all runs."""
    folder = tmp_path_factory.mktemp("finished")
    options = ["--data.val_split=200", "--trainer.max_epochs=1", f"--trainer.default_root_dir={folder}"]
    main(["fit", "--config=digits", "--pictures=false", *options])
    return folder / "lightning_logs"


@pytest.fixture
def _working_folder(finished_run, tmp_path, monkeypatch):
    """Put everything that the commands name into the current folder."""
    shutil.copytree(finished_run, "lightning_logs")
    Path("my.yaml").write_text("model: MLP\ndata: Digits\ntrainer:\n  max_epochs: 1\n")
    Path("my_module.py").write_text("\n".join(get_python_blocks("extending.md")[:2]))
    Path("my_classes.py").write_text(get_python_blocks("examples.md")[0])
    monkeypatch.syspath_prepend(tmp_path)
    Path("photos").mkdir()
    for path, image in zip(("shoe.png", "photos/1.png", "photos/2.png"), make_images(3, 1, 28, 0)[0], strict=True):
        Image.fromarray(image[0]).save(path)


@pytest.mark.usefixtures("_working_folder")
@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if command.startswith(("fit", "validate", "test")) and "more_pets" not in command],
)
def test_every_command_is_parsed(command, capsys):
    option = [] if "--model.help" in command else ["--print_config"]
    with pytest.raises(SystemExit) as stop:
        main([*shlex.split(command), *option])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    if option:
        assert yaml.safe_load(printed[printed.index("seed_everything") :])["trainer"]


@pytest.mark.usefixtures("_working_folder")
@pytest.mark.parametrize(
    "command",
    [
        command
        for command in COMMANDS
        if command.startswith(DIGITS) and not re.search("--model.help|hymenoptera|pets|labels.csv", command)
    ],
)
def test_every_command_that_needs_only_the_digits_runs(command, capsys):
    short = ["--trainer.max_epochs=1", "--pictures=false"] if command.startswith("fit") else []
    arguments = [re.sub(r"^5$", "2", argument) for argument in shlex.split(command)]  # two seeds
    if "model.onnx" in command:
        pytest.importorskip("onnxscript")
    main([*arguments, *short])
    captured = capsys.readouterr()
    assert captured.out
    assert captured.err == "" or "--format" in command


@pytest.mark.slow
def test_commands_for_own_images_run(run):
    rows = ["path,label,group"]
    for root in ("pets", "more_pets"):
        for i, image in enumerate(make_images(24, 3, 40, 0)[0]):
            path = Path(root, ("cat", "dog")[i % 2], f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.transpose(1, 2, 0)).save(path)
            rows.append(f"{path},{path.parent.name},{root} {i // 3}")
    Path("labels.csv").write_text("\n".join(rows))
    for command in sorted(OWN_IMAGES, key=lambda command: "labels.csv" in command):  # `test` evaluates the last run
        short = ["--trainer.max_epochs=1", "--pictures=false"] if command.startswith("fit") else []
        short += [f"--trainer.limit_{part}_batches=1" for part in ("train", "val") if command.startswith("fit")]
        short += ["--data.batch_size=2", "--data.test_batch_size=2"] if command.startswith("fit") else []
        if command.startswith("fit --config photos"):  # it would download weights, and takes larger images
            short += ["--model.weights=null", "--model.keep_statistics=false", "--data.image_size=64"]
        assert run(*shlex.split(command), *short)
    assert Path("scores.csv").read_text().startswith("file,true,predicted,trained_on,cat,dog\n")


def test_the_notebook_example_trains_and_predicts(cifar_root):
    assert cifar_root.name == "data"
    namespace = {}
    Path("photos").mkdir()
    Image.fromarray(make_photographs(1)[0]).save("photos/dog.jpg")
    block = get_python_blocks("README.md")[0]
    exec(block.replace("model.predict(", "prediction = model.predict("), namespace)  # noqa: S102
    assert set(namespace["prediction"].probabilities) == set(namespace["data"].class_names)


@pytest.mark.usefixtures("_working_folder")
def test_a_data_set_and_a_network_added_as_shown_train_together(run, start):
    added = ("--data", "my_module.Stripes", "--model", "my_module.Linear")
    assert "epoch 3/3" in run("fit", *added, "--trainer.max_epochs", "3")
    scores = run("test", "--ckpt_path", "last").splitlines()[1]
    assert scores.endswith("(1,000 images)")
    start("test", "--ckpt_path", "last", *added).join()  # in a process that has not imported the module
    assert scores in Path("out").read_text()


def test_loss_optimizer_augmentation_and_callback_written_as_shown_are_used(make_trainer, capsys):
    namespace = {}
    for block in get_python_blocks("extending.md")[:-1]:
        exec(block, namespace)  # noqa: S102
    L.seed_everything(0)
    model = namespace["FocalMLP"](image_shape=(1, 8, 8))
    data = namespace["NoisyDigits"]()
    trainer = make_trainer(callbacks=[namespace["PrintGap"]()])
    trainer.fit(model, data)
    assert type(trainer.optimizers[0]).__name__ == "Adam"
    assert re.search(r"^gap: -?\d+\.\d%$", capsys.readouterr().out, re.MULTILINE)


def test_metric_of_a_network_written_as_shown_is_recorded_for_every_split(make_trainer):
    namespace = {}
    exec(next(block for block in get_python_blocks("extending.md") if "F1MLP" in block), namespace)  # noqa: S102
    model, recorder = namespace["F1MLP"](image_shape=(1, 8, 8), lr=0.1), ResultsRecorder()
    trainer = make_trainer(callbacks=[recorder])
    trainer.fit(model, Digits(val_split=200))
    images = model.test_metrics.get_images()
    f1 = f1_score(images["label"], images["prediction"], average="macro", zero_division=0)
    assert recorder.epochs[0]["f1/test"] == pytest.approx(f1)
    assert recorder.epochs[0]["f1/val"] > 0
    assert trainer.test(model, Digits(), verbose=False)[0]["f1/test"] == pytest.approx(f1)


def test_every_recipe_is_in_both_result_tables():
    for recipe in RECIPES:
        for page in ("README.md", "recipes.md"):
            assert re.search(rf"^\| `{recipe}` \|", PAGES[page], re.MULTILINE), (recipe, page)


@pytest.mark.parametrize("page", PAGES)
def test_every_linked_file_exists(page):
    folder = REPOSITORY if page == "README.md" else REPOSITORY / "docs"
    links = [link for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if not link.startswith("http")]
    assert [link for link in links if not (folder / link).is_file()] == []


def test_every_file_of_the_package_that_a_page_names_exists():
    for page, text in PAGES.items():
        names = re.findall(r"`((?:cli|commands|runs|models|callbacks|data|tests/benchmarks)/[\w/]+\.py)`", text)
        missing = [
            name for name in names if not any((REPOSITORY / root / name).is_file() for root in ("classifier", ""))
        ]
        assert missing == [], page


def test_the_readme_fits_in_110_lines_and_its_code_in_100_columns():
    assert len(README.splitlines()) <= 110
    code = "".join(re.findall(r"```\w*\n(.*?)```", README, re.DOTALL))
    assert [line for line in code.splitlines() if len(line) > 100] == []


def test_both_tutorial_runs_are_complete():
    for name in ("fashion_mnist", "cifar10"):
        run = REPOSITORY / "lightning_logs" / f"tutorial_{name}"
        assert {path.name.partition(".tfevents")[0] for path in run.iterdir()} == {
            "checkpoints", "config.yaml", "events.out", "hparams.yaml", "results.json"
        }  # fmt: skip


def test_loss_optimizer_schedule_augmentation_and_metric_of_the_examples_are_used(make_trainer):
    namespace = {}
    exec(get_python_blocks("examples.md")[0], namespace)  # noqa: S102
    model = namespace["MarginMLP"](image_shape=(1, 8, 8), lr=0.001)
    trainer = make_trainer(max_epochs=6)
    trainer.fit(model, namespace["RotatedDigits"]())
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.0001)
    images = model.test_metrics.get_images()
    f1 = f1_score(images["label"], images["prediction"], average="macro")
    assert trainer.callback_metrics["f1/test"].item() == pytest.approx(f1)
    assert f1 > 0.8


def test_search_of_the_examples_returns_the_settings_of_its_best_trial(capsys):
    pytest.importorskip("optuna").logging.set_verbosity(0)
    block = get_python_blocks("examples.md")[1]
    for old, new in (("n_trials=20", "n_trials=3"), ("max_epochs=5", "max_epochs=1")):
        assert old in block
        block = block.replace(old, new)
    namespace = {}
    exec(block, namespace)  # noqa: S102
    study = namespace["study"]
    assert capsys.readouterr().out == f"{study.best_params} {max(trial.value for trial in study.trials)}\n"
    assert set(study.best_params) == {"lr", "momentum"}


@pytest.mark.slow
def test_script_and_service_of_the_examples_classify_files_like_predict(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    monkeypatch.syspath_prepend(tmp_path)
    script, service = get_python_blocks("examples.md")[2:4]
    Path("classify.py").write_text(script)
    model = MLP(image_shape=(3, 24, 20), class_names=tuple("abcdefghij"))
    export_classifier(model, "model.onnx", torch.zeros(1, 3, 24, 20, dtype=torch.uint8))
    photographs = [Image.fromarray(pixels) for pixels in make_photographs(2, height=33, width=47)]
    photographs[0].save("wide.png")
    photographs[1].convert("L").rotate(90, expand=True).save("grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    photographs[1].save("rotated.jpg", exif=exif)
    namespace = {}
    exec(service, namespace)  # noqa: S102
    server = namespace["ThreadingHTTPServer"](("localhost", 0), namespace["Handler"])
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        for name in ("wide.png", "grey.png", "rotated.jpg"):
            images = read_image(name, (3, 24, 20))[None]
            expected = dict(zip(model.hparams.class_names, model.predict_step(images, 0)[0].tolist(), strict=True))
            assert namespace["classify"](name) == pytest.approx(expected, abs=1e-5)
            assert post(server.server_port, Path(name).read_bytes()) == (200, namespace["classify"](name))
        status, answer = post(server.server_port, b"text")
        assert (status, "cannot identify image file" in answer["error"]) == (400, True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def post(port: int, body: bytes) -> tuple[int, Any]:
    connection = HTTPConnection("localhost", port)
    connection.request("POST", "/", body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


@pytest.mark.usefixtures("_working_folder")
def test_prediction_in_a_notebook_runs_as_shown(run, capsys):
    exec(get_python_blocks("extending.md")[-1], {})  # noqa: S102
    label, probability = capsys.readouterr().out.split()[:2]
    assert f"shoe.png  {label} " in (printed := run("predict", "shoe.png"))
    assert f"{float(probability):.1%}" in printed
