"""The option `--name`: the name of a run, which is that of its folder."""

import os
import re

from jsonargparse import Namespace

from classifier.cli.config_checks import is_sweep
from classifier.cli.paths import keep_literal
from classifier.cli.run_loggers import find_place, keeps_run
from classifier.cli.trainer_setup import is_first_process
from classifier.errors import make_printable, require
from classifier.runs.folders import is_plain_name

MAX_LENGTH = 200  # bytes; file systems take 255


def check_name(config: Namespace, is_resumed: bool) -> None:
    """Check that the name of a new run can be used.

    Args:
        config: The parsed configuration of `fit`.
        is_resumed: Whether a run is resumed, which has a name already.

    Raises:
        SettingError: It is not the name of a folder, cannot be given to `--ckpt_path`, means something else, has no
            effect, or is taken.
    """
    name = config.name
    place = find_place(config.trainer, name)
    require(
        not is_sweep(config) or name or not place.name,
        "--seeds and --sweep train several runs: leave out trainer.logger.version",
    )
    if name is not None:
        shown = f"--name {make_printable(name)}"
        require(keeps_run(config.trainer), f"{shown}: without a logger, a run has no folder that could be named")
        require(not is_resumed, f"{shown}: a resumed run keeps its name; leave out --name")
        is_name = is_plain_name(name) and name.isprintable() and len(os.fsencode(name)) <= MAX_LENGTH
        require(is_name and name[0] not in "-.~", f"{shown} is not the name of a folder, such as shop")
        is_reserved = name in ("last", "best") or re.fullmatch(r"version_\d+", name)
        is_text = keep_literal(name) == name
        require(
            is_text, f"{shown} cannot be given to --ckpt_path, which takes it for YAML: choose another, such as shop"
        )
        require(not is_reserved, f"{shown} means another run to --ckpt_path: choose another name, such as shop")
    if is_resumed or not keeps_run(config.trainer) or not is_first_process():
        return
    names = [name_run(config, seed) for seed in list_seeds(config)] if name else [place.name]
    option = "--name" if name else "--trainer.logger.version"
    for folder in (place.logs / taken for taken in names if taken):
        require(not os.path.lexists(folder), f"{make_printable(folder)} exists already: choose another {option}")


def list_seeds(config: Namespace) -> range:
    """Return the seeds that `--seeds` asks for."""
    first = int(config.seed_everything)
    return range(first, first + config.seeds)


def list_runs(config: Namespace) -> dict[int, list[str]]:
    """Return the options of every run that `--seeds` asks for, by seed; later options replace earlier ones."""
    options = {seed: [f"--seed_everything={seed}", "--seeds=1"] for seed in list_seeds(config)}
    if config.name is None:
        return options
    return {seed: [*given, f"--name={name_run(config, seed)}"] for seed, given in options.items()}


def name_run(config: Namespace, seed: int | None = None) -> str | None:
    """Return the name of a run: that of `--name`, followed by the seed if there are several runs, or None.

    Args:
        config: The parsed configuration of `fit`.
        seed: Seed of the run; None for the first one.
    """
    seed = list_seeds(config)[0] if seed is None else seed
    return f"{config.name}_seed{seed}" if config.name is not None and config.seeds > 1 else config.name
