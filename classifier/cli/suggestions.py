"""What an option, a command or a value that does not exist was probably meant to be."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from shlex import quote
from typing import TypeVar

T = TypeVar("T")

RECIPES = {path.stem: path for path in sorted(Path(__file__).parents[1].joinpath("recipes").glob("*.yaml"))}

# Names of options in other tools (Keras, Ultralytics, timm, Hugging Face, the scripts of torchvision), without "_", and
# the options here. Of several, the first that a command has is suggested.
SYNONYMS = {
    ("epochs", "numepochs", "nepochs", "numtrainepochs", "maxepoch"): ["trainer.max_epochs"],
    ("steps", "numsteps", "iterations", "maxiter"): ["trainer.max_steps"],
    ("lr", "learningrate", "lr0", "baselr", "initlr", "eta"): ["model.lr"],
    ("wd", "decay", "l2"): ["model.weight_decay"],
    ("batch", "bs", "b", "batchsize", "trainbatchsize", "perdevicetrainbatchsize"): ["data.batch_size", "batch_size"],
    ("evalbatchsize", "valbatchsize", "perdeviceevalbatchsize"): ["data.test_batch_size"],
    ("gpus", "gpu", "numgpus", "ngpus", "ngpu", "numdevices", "nprocpernode"): ["trainer.devices", "devices"],
    ("device", "cuda", "usecuda", "nocuda", "cpu"): ["trainer.accelerator", "accelerator"],
    ("nodes", "nnodes"): ["trainer.num_nodes"],
    ("seed", "randomseed", "manualseed", "randomstate"): ["seed_everything"],
    ("checkpoint", "ckpt", "load", "modelpath", "resume", "resumefrom", "resumefromcheckpoint", "restore"): [
        "ckpt_path"
    ],
    ("weights", "pretrained", "initialcheckpoint"): ["model.weights", "ckpt_path"],
    ("model", "run"): ["ckpt_path"],
    ("datadir", "datapath", "datasetdir", "dataroot", "path", "dir", "folder", "root", "source"): ["data.root"],
    ("dataset", "ds"): ["data"],
    ("csv", "table", "annotations", "labels"): ["data.file"],
    ("arch", "architecture", "network", "net", "modelname", "backbone"): ["model"],
    ("imgsz", "imgsize", "inputsize", "imagesize", "resolution", "size", "cropsize", "res"): ["data.image_size"],
    ("validationsplit", "valsize", "valratio", "validsplit", "valfraction", "splitratio"): ["data.val_split"],
    ("testsize", "testratio", "testfraction"): ["data.test_split"],
    ("hidden", "hiddensize", "hiddendim", "hiddenunits", "units", "layers", "hiddenlayers"): ["model.hidden_sizes"],
    ("scheduler", "lrscheduler", "sched", "coslr", "schedule"): ["model.lr_schedule"],
    ("warmup", "warmupsteps", "warmupratio", "warmupepochs"): ["model.lr_warmup"],
    ("smoothing",): ["model.label_smoothing"],
    ("ema", "modelema"): ["model.ema_decay"],
    ("amp", "fp16", "bf16", "half", "mixedprecision"): ["trainer.precision"],
    ("gradclip", "clipgrad", "clip", "maxgradnorm", "clipnorm"): ["trainer.gradient_clip_val"],
    ("gradaccumsteps", "gradientaccumulationsteps", "accumiter", "accumulate"): ["trainer.accumulate_grad_batches"],
    ("out", "outputdir", "outdir", "logdir", "savedir", "project"): ["trainer.default_root_dir", "output"],
    ("runname", "experiment", "expname"): ["name"],
    ("recipe", "preset", "cfg", "yaml", "configfile"): ["config"],
    ("hflip", "fliplr", "horizontalflip", "augment", "augmentation"): ["data.flip"],
    ("verbose", "quiet", "silent", "progress", "noprogress"): ["trainer.enable_progress_bar"],
    ("debug", "dryrun"): ["trainer.fast_dev_run"],
    ("topk", "saveconf", "savetxt"): ["output"],
    ("trustedpackage", "trustremotecode"): ["allow_import"],
}
# What is done in another way than by an option.
ADVICE = {
    ("optimizer", "opt"): "the optimizer is SGD; docs/examples.md shows how to use another one",
    ("loss", "criterion"): "the loss is the cross-entropy; docs/examples.md shows how to use another one",
    ("workers", "numworkers", "j"): "leave it out, because the number of worker processes is chosen automatically",
    ("patience", "earlystop", "earlystopping"): (
        "use --data.val_split 0.1 --trainer.callbacks EarlyStopping --trainer.callbacks.monitor accuracy/val "
        "--trainer.callbacks.mode max"
    ),
}
COMMANDS = {
    "fit": ("train", "training", "run", "finetune"),
    "test": ("eval", "evaluate", "evaluation", "score", "benchmark"),
    "validate": ("val", "valid", "validation"),
    "predict": ("infer", "inference", "classify", "detect"),
    "inspect": ("check", "info", "describe", "stats", "explore"),
    "export": ("convert", "save", "onnx"),
    "runs": ("list", "ls", "history"),
    "report": ("compare", "analyse", "analyze", "html"),
    "clear_cache": ("clean", "clear", "cache"),
    "--help": ("help", "usage"),
    "--version": ("version",),
}


def suggest_command(name: str, commands: Collection[str]) -> str | None:
    """Return the command or option that an unknown command probably stands for, or None.

    Args:
        name: The unknown command.
        commands: Names of all commands.
    """
    given = normalise(name)
    for command, synonyms in COMMANDS.items():
        if given in synonyms and (command in commands or command.startswith("--")):
            return command
    return next(iter(difflib.get_close_matches(given, commands, n=1)), None)


def suggest_option(name: str, options: Iterable[str]) -> str | None:
    """Return what to use in place of an unknown option, or None.

    Args:
        name: The unknown option, without its leading dashes, such as "epochs" or "trainer.gpus".
        options: Names of all options that the command has, such as "trainer.max_epochs".
    """
    known = {option: normalise(option) for option in options}
    given = normalise(name)
    # An option that is called the same, whatever its group is, and then the name of another tool.
    same = [option for option, last in known.items() if last == given]
    candidates = [*same, *find_synonym(given, SYNONYMS, [])]
    group = name.rpartition(".")[0]
    candidates.sort(key=lambda option: bool(group) and not option.startswith(f"{group}."))
    if found := next((option for option in candidates if option in known), None):
        return f"--{found}"
    if advice := find_synonym(given, ADVICE, ""):
        return advice
    of_group = {last: option for option, last in known.items() if not group or option.startswith(f"{group}.")}
    close = difflib.get_close_matches(given, of_group, n=1, cutoff=0.75)
    return f"--{of_group[close[0]]}" if close else None


def suggest_for_argument(argument: str, options: Collection[str]) -> str | None:
    """Return the option that an argument without one was probably meant for, or None.

    Args:
        argument: The argument, such as the name of a recipe or a folder.
        options: Names of all options that the command has.
    """
    if "config" in options and argument in RECIPES:
        return f"--config {argument}"
    path = Path(argument)
    if "ckpt_path" in options and (path.suffix == ".ckpt" or argument in ("last", "best") or is_run(argument)):
        return f"--ckpt_path {quote(argument)}"
    if "data" in options and path.is_dir():
        return f"--data ImageFolder --data.root {quote(argument)}"
    return None


def is_run(name: str) -> bool:
    """Return whether a text is the name or the folder of a run with checkpoints."""
    from classifier.runs.folders import find_run_dir  # only now, because of its libraries

    run_dir = find_run_dir(name)
    return run_dir is not None and (run_dir / "checkpoints").is_dir()


def describe_suggestion(suggestion: str | None) -> str:
    """Return a suggestion as the end of an error message, or "" for None."""
    if suggestion is None:
        return ""
    return f"; did you mean {suggestion}?" if suggestion.startswith("--") else f"; {suggestion}"


def suggest_class(name: str, choices: Collection[str]) -> str | None:
    """Return the class that a value of `--model` or `--data` probably stands for, with its option, or None.

    Args:
        name: The value, which is no class.
        choices: Names of the classes.
    """
    given = normalise(name)
    names = {normalise(choice): choice for choice in choices}
    if close := difflib.get_close_matches(given, names, n=1, cutoff=0.75):
        return names[close[0]]
    if "TorchVision" in names.values():
        from torchvision.models import list_models

        if name.lower() in list_models():
            return f"TorchVision --model.name {name.lower()}"
    return None


def suggest_part(name: str) -> str | None:
    """Return the callback, logger or other part of a Trainer that a name probably stands for, or None."""
    from lightning.pytorch import callbacks, loggers, profilers, strategies

    names = {normalise(part): part for group in (callbacks, loggers, profilers, strategies) for part in group.__all__}
    given = normalise(name)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.75)
    return names.get(f"{given}logger") or (names.get(close[0]) if close else None)


def find_synonym(name: str, table: Mapping[tuple[str, ...], T], default: T) -> T:
    """Return the entry of a table for a normalised name, or a default value."""
    return next((value for names, value in table.items() if name in names), default)


def normalise(name: str) -> str:
    """Return the last part of the name of an option in lower case, without underscores and hyphens."""
    return re.sub("[-_]", "", name.rpartition(".")[2]).lower()
