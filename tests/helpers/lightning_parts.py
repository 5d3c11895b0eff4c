"""All classes of Lightning that can be added to a Trainer on the command line."""

import inspect
from types import ModuleType
from typing import Any, NamedTuple

import lightning.pytorch.callbacks
import lightning.pytorch.loggers
import lightning.pytorch.plugins
import lightning.pytorch.plugins.environments
import lightning.pytorch.profilers
import lightning.pytorch.strategies
from lightning.pytorch.loggers import Logger


class Part(NamedTuple):
    """A class of Lightning: the Trainer's option for it, its import path, and the arguments that it requires."""

    option: str
    class_path: str
    init_args: dict[str, Any]

    @property
    def name(self) -> str:
        return self.class_path.rpartition(".")[2]

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a Trainer with this part, as in a configuration file."""
        value = {"class_path": self.class_path, "init_args": self.init_args}
        return {"trainer": {self.option: [value] if self.option == "callbacks" else value}}


REQUIRED = {
    "BitsandbytesPrecision": {"mode": "nf4"},
    "CSVLogger": {"save_dir": "logs"},
    "DeepSpeedPrecision": {"precision": "16-true"},
    "EarlyStopping": {"monitor": "loss/train"},
    "FSDPPrecision": {"precision": "16-true"},
    "GradientAccumulationScheduler": {"scheduling": {1: 2}},
    "MixedPrecision": {"precision": "bf16-mixed", "device": "cpu"},
    "ModelPruning": {"pruning_fn": "l1_unstructured"},
    "OnExceptionCheckpoint": {"dirpath": "exceptions"},
    "StochasticWeightAveraging": {"swa_lrs": 0.01},
    "TensorBoardLogger": {"save_dir": "logs"},
    "TransformerEnginePrecision": {"weights_dtype": "torch.float16"},
}
# ThroughputMonitor requires a function, which a file cannot give. Without its package, LitLogger is not a logger.
OMITTED = {"ThroughputMonitor", "LitLogger"}


def list_parts() -> list[Part]:
    """Return every class that can be instantiated, with the arguments that it requires."""
    lib = lightning.pytorch
    modules: list[tuple[str, ModuleType]] = [
        ("callbacks", lib.callbacks),
        ("logger", lib.loggers),
        ("profiler", lib.profilers),
        ("strategy", lib.strategies),
        ("plugins", lib.plugins),
        ("plugins", lib.plugins.environments),
    ]
    parts = []
    for option, module in modules:
        for name in getattr(module, "__all__", dir(module)):
            value = getattr(module, name)
            if inspect.isclass(value) and not inspect.isabstract(value) and value is not Logger:
                parts.append(Part(option, f"{module.__name__}.{name}", REQUIRED.get(name, {})))
    return [part for part in parts if part.name not in OMITTED]
