"""A configuration holds plain values and classes of the expected kind: nothing in it is called or imported."""

import inspect
import json
import sys
import types
from pathlib import Path

import lightning as L
import pytest
from helpers.runs import FIT_DIGITS
from jsonargparse import Namespace
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.fabric.plugins import Precision as FabricPrecision
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy

import classifier
from classifier import ImageClassifier, ImageDataModule
from classifier.class_paths import list_subclasses
from classifier.cli.config_types import check_arguments, check_types, find_parameter, list_bases
from classifier.cli.lightning_parser import LightningParser
from classifier.cli.parsing import ALLOWED_PACKAGES, allow_imports
from classifier.errors import SettingError
from classifier.hparams import merge_signatures

BASES = (
    *(Callback, Logger, Profiler, Strategy, FabricPrecision, CheckpointIO, ClusterEnvironment, LayerSync),
    *(ImageClassifier, ImageDataModule),
)
for public in classifier.__all__:
    getattr(classifier, public)  # imports it
PARTS = sorted(
    {
        cls
        for base in BASES
        for cls in list_subclasses(base)
        if any(f"{cls.__module__}.".startswith(f"{package}.") for package in ALLOWED_PACKAGES)
    },
    key=lambda cls: f"{cls.__module__}.{cls.__qualname__}",
)
CALLS = []


def record(*args: object, **kwargs: object) -> object:
    """Record a call; no test may reach it."""
    CALLS.append((args, kwargs))


@pytest.fixture
def planted(monkeypatch):
    """Return a function in a package that files may import from, which records its calls."""
    module = types.ModuleType("planted")
    function = types.FunctionType(record.__code__, globals(), "record")
    function.__module__, function.__qualname__ = "planted", "record"
    function.__annotations__ = {"return": object}
    module.record = function
    monkeypatch.setitem(sys.modules, "planted", module)
    CALLS.clear()
    allow_imports(["planted"])
    return function


def make_parser(cls):
    """Return a parser with the arguments of a class's constructor, as jsonargparse makes it for a nested class."""
    parser = LightningParser(exit_on_error=False)
    parser.add_class_arguments(cls, "part", fail_untyped=False, sub_configs=True, instantiate=False)
    return parser


def parse_and_check(parser, cls, name, value):
    """Parse a value for an argument of a class, check it, and return what would be passed to the class."""
    arguments = parser.parse_object({"part": {name: value}}, defaults=False)["part"]
    check_arguments("--part", cls, {name: arguments.clone(with_meta=False).as_dict()[name]})
    return arguments[name]


@pytest.mark.parametrize("cls", [L.Trainer, *PARTS], ids=lambda cls: cls.__name__)
def test_function_is_refused_in_place_of_every_argument_and_never_called(planted, cls):
    parser = make_parser(cls)
    names = [name for name in merge_signatures(cls).parameters if f"part.{name}" in parser.get_defaults(True)]
    for name in names:
        for base in [object, *list_bases(find_parameter(cls, name)[0])]:
            planted.__annotations__["return"] = base  # a function that returns an instance of the expected class
            for value in ({"class_path": "planted.record"}, [{"class_path": "planted.record"}]):
                with pytest.raises((SettingError, ValueError, TypeError)):
                    parse_and_check(parser, cls, name, value)
            try:
                passed = parse_and_check(parser, cls, name, "planted.record")
            except SettingError:
                continue
            assert str(passed) == "planted.record", name  # the argument is a text or a path
            assert not callable(passed), name
    assert CALLS == []


@pytest.mark.parametrize("cls", PARTS, ids=lambda cls: cls.__name__)
def test_every_class_that_a_file_may_name_is_accepted_with_its_defaults(cls):
    if inspect.isabstract(cls):
        return
    defaults = make_parser(cls).get_defaults(True).get("part", Namespace())
    check_arguments("--part", cls, defaults.clone(with_meta=False).as_dict())


def test_parts_include_the_callables_of_lightning():
    names = {cls.__name__ for cls in PARTS}
    assert names >= {"LambdaCallback", "ModelPruning", "DDPStrategy", "FSDPStrategy", "PyTorchProfiler", "CSVLogger"}
    assert names >= {"AsyncCheckpointIO", "SLURMEnvironment", "MixedPrecision", "MLP", "Digits", "ConsoleReporter"}
    callables = [
        (cls.__name__, name)
        for cls in PARTS
        for name, parameter in merge_signatures(cls).parameters.items()
        if "Callable" in str(parameter.annotation)
    ]
    assert len(callables) == len(set(callables)) > 40, callables


REFUSED = [
    (
        "callbacks: {class_path: LambdaCallback, init_args: {on_fit_start: {class_path: torch.hub.load, "
        "init_args: {repo_or_dir: evil, source: local, model: x}}}}",
        "--trainer.callbacks: torch.hub.load is not part of classifier; if you trust it, add --allow_import torch",
    ),
    (
        "callbacks: {class_path: torch.hub.load, init_args: {repo_or_dir: evil, source: local, model: x}}",
        "torch.hub.load is not part of classifier; if you trust it, add --allow_import torch",
    ),
    (
        "callbacks: {class_path: LambdaCallback, init_args: {on_fit_start: torch.fx.graph_module._exec_with_source}}",
        "torch.fx.graph_module._exec_with_source is not part of classifier; if you trust it, add --allow_import torch",
    ),
    (
        "callbacks: {class_path: LambdaCallback, init_args: {on_fit_start: "
        "torch.distributed.launcher.api.elastic_launch}}",
        "torch.distributed.launcher.api.elastic_launch is not part of classifier; if you trust it, add --allow_import",
    ),
    (
        "callbacks: {class_path: LambdaCallback, init_args: {on_fit_start: classifier.export_classifier}}",
        "--trainer.callbacks.on_fit_start takes a function, which an option or a file cannot give: write a subclass "
        "that sets it, and allow its package with --allow_import",
    ),
    (
        "callbacks: classifier.export_classifier",
        "--trainer.callbacks: the class is not a subclass of Callback",
    ),
    ("callbacks: classifier.MLP", "--trainer.callbacks: the class is not a subclass of Callback"),
    (
        "callbacks: {class_path: ModelPruning, init_args: {pruning_fn: classifier.export_classifier}}",
        "--trainer.callbacks.pruning_fn: classifier.commands.export.export_classifier is neither a number nor a text",
    ),
    (
        "strategy: {class_path: DDPStrategy, init_args: {ddp_comm_state: {class_path: classifier.MLP}}}",
        "--trainer.strategy.ddp_comm_state: classifier.MLP is neither a number nor a text nor a list of these",
    ),
    (
        "strategy: {class_path: FSDPStrategy, init_args: {activation_checkpointing: classifier.MLP}}",
        "--trainer.strategy.activation_checkpointing: classifier.models.mlp.MLP is neither a number nor a text",
    ),
    (
        "profiler: {class_path: PyTorchProfiler, dict_kwargs: {schedule: {class_path: classifier.export_classifier}}}",
        "--trainer.profiler.schedule: classifier.export_classifier is neither a number nor a text nor a list of these",
    ),
]


@pytest.mark.parametrize(("trainer", "message"), REFUSED)
def test_configuration_that_would_run_code_is_refused_in_one_line(fail, trainer, message):
    Path("evil").mkdir()
    Path("evil/hubconf.py").write_text("open('ran', 'w')\n")
    Path("config.yaml").write_text(f"model: MLP\ndata: Digits\ntrainer:\n  {trainer}\n")
    status, line = fail("fit", "--config=config.yaml")
    assert (status, message in line) == (2, True), line
    assert not Path("ran").exists()
    assert not Path("lightning_logs").exists()


@pytest.mark.parametrize(("trainer", "message"), [REFUSED[0], REFUSED[4], REFUSED[5]])
def test_nested_file_is_checked_like_the_configuration_that_names_it(fail, trainer, message):
    Path("trainer.yaml").write_text(trainer)
    for option in ("--config=config.yaml", "--trainer=trainer.yaml"):
        Path("config.yaml").write_text("model: MLP\ndata: Digits\ntrainer: trainer.yaml\n")
        assert message in fail("fit", option)[1]


def test_function_in_a_configuration_is_refused_with_every_command_that_reads_one(run, fail):
    run(*FIT_DIGITS, "--trainer.max_epochs=1")
    callbacks = json.dumps([{"class_path": "LambdaCallback", "init_args": {"setup": "classifier.MLP"}}])
    Path("hostile.yaml").write_text(f"trainer: {{callbacks: {callbacks}}}")
    for command in ("validate", "test", "fit"):
        assert "callbacks.setup takes a function" in fail(command, "--ckpt_path=last", "--config=hostile.yaml")[1]
    config = Path("lightning_logs/version_0/config.yaml")
    config.write_text(config.read_text().replace("callbacks: null", f"callbacks: {callbacks}"))
    line = fail("fit", "--ckpt_path=last", "--trainer.max_epochs=2")[1]  # which reads config.yaml of the run
    assert "callbacks.setup takes a function" in line


@pytest.mark.parametrize("name", ["EarlyStopping", "lightning.pytorch.callbacks.EarlyStopping"])
def test_callback_of_lightning_is_accepted_under_its_short_and_its_long_name(run, name):
    Path("config.yaml").write_text(
        f"trainer:\n  max_epochs: 2\n  callbacks:\n  - class_path: {name}\n"
        "    init_args:\n      monitor: loss/train\n      divergence_threshold: 0.0\n"
    )
    assert "epoch 2/2" not in run(*FIT_DIGITS, "--config=config.yaml")


def test_class_of_an_allowed_package_is_accepted_only_where_its_base_is_expected(monkeypatch):
    module = types.ModuleType("mine")
    module.Mine = type("Mine", (EarlyStopping,), {"__module__": "mine"})
    monkeypatch.setitem(sys.modules, "mine", module)
    config = {"model": None, "data": None, "trainer": {"callbacks": [{"class_path": "mine.Mine"}]}}
    check_types(Namespace(config))
    config["trainer"] = {"logger": {"class_path": "mine.Mine"}}
    with pytest.raises(SettingError, match=r"^--trainer\.logger: mine\.Mine is no class"):
        check_types(Namespace(config))


@pytest.mark.parametrize("value", [2**63, -(2**63), [1, 10**22]])
def test_integer_of_more_than_64_bits_is_refused(value):
    with pytest.raises(SettingError, match="an integer of more than 64 bits"):
        check_arguments("--trainer", L.Trainer, {"max_epochs": value})


def test_text_with_a_null_character_is_refused():
    with pytest.raises(SettingError, match=r"--trainer\.default_root_dir: the text contains a null character"):
        check_arguments("--trainer", L.Trainer, {"default_root_dir": "a\0b"})
