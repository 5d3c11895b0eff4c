"""Try to break the reading of configuration files: `python tests/fuzz/config_files.py --count 3000 --seed 0`.

Every case is parsed and checked in this process up to the moment at which `fit` would build the first object. A case
breaks the program if it ends in anything but success or one line, takes more than 5 s, starts a process, connects to a
socket, writes a file, or leaves anything in the configuration that is neither plain nor a class of the expected kind.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import pydoc
import random
import signal
import sys
import tempfile
import warnings
from collections import Counter
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

import yaml
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import LayerSync, Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy

import classifier
from classifier import ImageClassifier, ImageDataModule
from classifier.cli.function_commands import run_function
from classifier.cli.lightning_cli import ClassifierCLI
from classifier.cli.main import find_user_error
from classifier.cli.resolve import RECIPES

MAX_SECONDS = 5.0
FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
PLUGINS = (Precision, ClusterEnvironment, CheckpointIO, LayerSync)
BASES = {
    **{"model": ImageClassifier, "data": ImageDataModule, "callbacks": Callback, "logger": Logger},
    **{"profiler": Profiler, "strategy": Strategy, "plugins": PLUGINS},
}
SPECS = [
    "trainer: {callbacks: {class_path: EarlyStopping, init_args: {monitor: loss/val}}}",
    "trainer: {callbacks: [{class_path: LambdaCallback, init_args: {on_fit_start: null}}, ModelSummary]}",
    "trainer: {callbacks: [{class_path: ModelPruning, init_args: {pruning_fn: l1_unstructured, amount: 0.5}}]}",
    "trainer: {logger: {class_path: CSVLogger, init_args: {save_dir: logs}}, max_time: 00:01:00:00}",
    "trainer: {profiler: {class_path: PyTorchProfiler, dict_kwargs: {schedule: null, with_stack: true}}}",
    "trainer: {strategy: {class_path: DDPStrategy, init_args: {ddp_comm_hook: null, timeout: 0:10:0}}}",
    "trainer: {strategy: {class_path: FSDPStrategy, init_args: {auto_wrap_policy: null, cpu_offload: true}}}",
    "trainer: {plugins: [{class_path: AsyncCheckpointIO, init_args: {checkpoint_io: TorchCheckpointIO}}]}",
    "trainer: {plugins: {class_path: SLURMEnvironment, init_args: {requeue_signal: SIGUSR1}}}",
    "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\ntrainer: {devices: [*b, *b, *b]}",
]
TOKENS = [
    *("&a", "*a", "!!python/object/apply:os.system", "!!binary", "<<: *a", "? ", "- " * 40, "[" * 40, "{" * 40, "\0"),
    *(
        "\t",
        "'",
        '"',
        "---\n",
        ": ",
        "9" * 5000,
        "1e999",
        ".nan",
        "0x" + "f" * 300,
        "~",
        "\\ud800",
        "é",
        "#",
        "%YAML 9",
    ),
    *(
        "class_path: os.system",
        "init_args: {command: 'touch broken'}",
        "dict_kwargs: {x: 1}",
        "class_path: ",
        "/dev/zero",
    ),
]
PACKAGES = ("torch", "lightning", "classifier", "builtins", "os", "subprocess", "posix", "pickle", "importlib", "runpy")


class Hang(BaseException):
    """Raised in a case that takes too long."""


class Stop(BaseException):
    """Raised where `fit` would build the first object."""


class ParseOnly(ClassifierCLI):
    """Parses and checks a configuration, and builds nothing."""

    def instantiate_classes(self) -> NoReturn:
        """Stop here."""
        raise Stop


def command(output: str = "x", ckpt_path: str = "last", batch_size: int = 1) -> NoReturn:  # noqa: ARG001
    """Stop, in place of `predict` or `export`."""
    raise Stop


def list_importable_names() -> list[str]:
    """Return the import paths of all functions and classes in imported modules of `PACKAGES`."""
    names = {"classifier.export_classifier", "torch.hub.load", "torch.distributed.launcher.api.elastic_launch"}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in PACKAGES and isinstance(module, ModuleType):
            names |= {f"{name}.{key}" for key, value in list(vars(module).items()) if callable(value)}
    return sorted(names)


class Mutator:
    """Makes one configuration after the other.

    Args:
        seed: Seed of the random numbers.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 not for cryptography
        self.names = list_importable_names()
        recipes = [path.read_text() for path in RECIPES.values()]
        self.texts = [*recipes, *(f"model: MLP\ndata: Digits\n{spec}\n" for spec in SPECS)]

    def make(self) -> bytes:
        """Return the content of a configuration file."""
        text = self.random.choice(self.texts)
        kind = self.random.choice(["structure", "structure", "structure", "tokens", "bytes"])
        if kind == "structure":
            settings = yaml.safe_load(text)
            for _ in range(self.random.randint(1, 4)):
                self.change(settings)
            return yaml.safe_dump(settings, sort_keys=False).encode()
        data = bytearray(text.encode())
        for _ in range(self.random.randint(1, 6)):
            at = self.random.randrange(len(data) + 1)
            if kind == "tokens":
                data[at:at] = self.random.choice([*TOKENS, self.random.choice(self.names)]).encode()
            else:
                length = self.random.choice([0, 1, 1, 10])
                data[at : at + length] = self.random.randbytes(self.random.choice([0, 1, 1, 8]))
        return bytes(data)

    def change(self, tree: Any) -> None:
        """Replace one random value in a tree of tables and lists, or add one."""
        while isinstance(tree, dict | list) and tree:
            key = self.random.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
            if not isinstance(tree[key], dict | list) or not tree[key] or self.random.random() < 0.2:
                if self.random.random() < 0.2 and isinstance(tree, dict):
                    key = self.random.choice([*BASES, "init_args", "dict_kwargs", "class_path", "x", "\0", 1])
                tree[key] = self.make_value()
                return
            tree = tree[key]

    def make_value(self) -> Any:
        """Return a value that a hostile file might contain."""
        name = self.random.choice([*self.names, "EarlyStopping", "DDPStrategy", "LambdaCallback", "MLP"])
        spec = {
            "class_path": name,
            "init_args": {self.random.choice(["x", "model", "source", "monitor"]): "touch broken"},
        }
        plain = [
            None,
            True,
            -1,
            0,
            10**22,
            2**63,
            1e300,
            float("nan"),
            "",
            "a: [b",
            "*a",
            "../x",
            "/dev/zero",
            "\0",
            "x" * 5000,
        ]
        texts = ["{a: &a [1, 1], b: &b [*a, *a], c: [*b, *b]}", "[" * 500, "nested.yaml", "pipe", "-", "touch broken"]
        nested = [[spec, name], {"class_path": {"class_path": name}}, {**spec, "dict_kwargs": {"on_fit_start": name}}]
        return self.random.choice([name, name, spec, spec, *nested, self.random.choice(plain + texts)])


def list_faults(config: Any, keys: tuple[str, ...] = ()) -> list[str]:
    """Return what a parsed configuration contains apart from plain values and classes of the expected kind."""
    if isinstance(config, dict):
        path = config.get("class_path")
        faults = [fault for key, value in config.items() for fault in list_faults(value, (*keys, str(key)))]
        if path is None:
            return faults
        cls = pydoc.locate(str(path))
        base = next((BASES[key] for key in reversed(keys) if key in BASES), None)
        suitable = isinstance(cls, type) and (len(keys) > 3 or base is None or issubclass(cls, base))
        return faults if suitable else [*faults, f"{'.'.join(keys)}: {path}"]
    if isinstance(config, list | tuple | set):
        return [fault for value in config for fault in list_faults(value, keys)]
    plain = (type(None), bool, int, float, str, Enum, pathlib.PurePath, timedelta)
    is_default = getattr(config, "__module__", "").startswith("lightning")
    return [] if isinstance(config, plain) or (is_default and not isinstance(config, type)) else [f"{keys}: {config!r}"]


class Watch:
    """Records, while it is active, what a configuration must not cause."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.active = False
        sys.addaudithook(self.record)

    def record(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record processes, connections and files opened for writing; an audit hook."""
        if not self.active or "print(json.dumps(sys.path))" in str(arguments):
            return  # the second is jsonargparse, which looks for the stubs of a package
        writes = event == "open" and isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
        if event in FORBIDDEN or (writes and "__pycache__" not in str(arguments[0])):
            self.events.append(f"{event} {arguments[:2]}")


def raise_hang(_: int, frame: FrameType | None) -> NoReturn:
    """Signal handler that ends a case that takes too long."""
    raise Hang(f"at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else "")


def run_case(source: str, data: bytes, watch: Watch) -> str | None:
    """Parse one configuration in the current folder, and return what broke, or None.

    Args:
        source: "config", "nested", "trainer", "checkpoint" or "command": where the configuration is read from.
        data: The configuration.
        watch: What records calls.
    """
    Path("case.yaml").write_bytes(data)
    arguments = {
        "nested": ["--config=top.yaml"],
        "trainer": ["--config=digits", "--trainer=case.yaml"],
        "checkpoint": [f"--model={data.decode(errors='replace')}"],
    }.get(source, ["--config=case.yaml"])
    before = set(Path().iterdir())
    watch.events.clear()
    watch.active = True
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        fault = parse(source, arguments)
    except Hang as hang:
        fault = f"took more than {MAX_SECONDS} s {hang}"
    except BaseException as error:
        is_refusal = isinstance(error, Exception) and find_user_error(error) is not None
        fault = None if is_refusal else f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        watch.active = False
    if watch.events:
        return f"caused {watch.events[:3]}"
    left = set(Path().iterdir()) - before
    return f"left {left}" if left else fault


def parse(source: str, arguments: list[str]) -> str | None:
    """Parse a command line, and return what the configuration contains apart from plain values and suitable classes."""
    cli = ParseOnly.__new__(ParseOnly)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            if source == "command":
                run_function(command, arguments)
            ParseOnly.__init__(cli, "fit", arguments, None)
        except Stop:
            if source == "command":
                return None
            config = cli.config.clone(with_meta=False).as_dict()
            faults = list_faults({key: config[key] for key in ("model", "data", "trainer")})
            return f"accepted {faults[:3]}" if faults else None
    return "ended without a result"


def fuzz(count: int, seed: int) -> list[tuple[str, bytes, str]]:
    """Run cases in the current folder; return source, configuration and fault of each that broke the program."""
    Path("top.yaml").write_text("model: MLP\ndata: Digits\ntrainer: case.yaml\n")
    Path("nested.yaml").write_text("class_path: nested.yaml\n")
    os.mkfifo("pipe")
    signal.signal(signal.SIGALRM, raise_hang)
    mutator, watch, faults = Mutator(seed), Watch(), []
    for i in range(count):
        source = ("config", "config", "config", "nested", "trainer", "checkpoint", "command")[i % 7]
        data = mutator.make()
        if source in ("nested", "trainer", "checkpoint"):
            data = extract(data, {"checkpoint": "model"}.get(source, "trainer"))
        if fault := run_case(source, data, watch):
            faults.append((source, data, fault))
    return faults


def extract(data: bytes, key: str) -> bytes:
    """Return the part of a configuration with a key as JSON, or all of it if it has none."""
    try:
        return json.dumps(yaml.safe_load(data)[key]).encode()
    except (yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError):
        return data


def main() -> None:
    """Run the fuzzer, and print what was tried and what broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in classifier.__all__:
        getattr(classifier, name)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        faults = fuzz(options.count, options.seed)
    for source, data, fault in faults[:20]:
        print(f"{source}: {fault}\n    {data[:300]!r}")
    kinds = Counter(fault.partition(" ")[0] for _, _, fault in faults)
    print(f"{options.count} configurations tried, {len(faults)} faults {dict(kinds)}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
