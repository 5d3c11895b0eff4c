"""The command line: Lightning's own CLI with short names, packaged recipes and the settings kept in checkpoints."""

import argparse
import contextlib
import inspect
import logging
import os
import pydoc
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import yaml
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from classifier.base import ImageClassifier
from classifier.callbacks import EpochLines, RunRecord
from classifier.checkpoints import (
    LINKED,
    RunCheckpoint,
    find_checkpoint,
    find_class,
    load_checkpoint,
    load_model,
    read_settings,
)
from classifier.data import ImageDataModule
from classifier.errors import SettingError, UserError
from classifier.parser import Parser
from classifier.predict import predict_files

RECIPES = Path(__file__).parent / "recipes"
LOGS = "lightning_logs"


def find_recipe(name: str) -> str:
    """Return the path of a packaged recipe, or of the user's own file.

    Raises:
        SettingError: When there is neither, or it is not YAML.
    """
    recipes = {file.stem: file for file in sorted(RECIPES.glob("*.yaml"))}
    path = Path(name) if Path(name).is_file() else recipes.get(name)
    if path is None:
        raise SettingError(f"--config {name}: no such file, and the recipes are {', '.join(recipes)}")
    try:
        yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingError(f"--config {name} is not YAML: {' '.join(str(error).split())}") from error
    return str(path)


class NoProfiler(PassThroughProfiler):
    """Measures nothing, without the generator that Lightning's own makes 30 times a step: 5 % of a step of the MLP."""

    nothing = contextlib.nullcontext()

    def profile(self, action_name: str) -> contextlib.nullcontext:
        """Return a context that does nothing."""
        return self.nothing


class ClassifierCLI(LightningCLI):
    """`fit`, `validate`, `test` and `predict` for any network and any data set of the package."""

    ckpt_path: Path | None = None
    resumed_run: Path | None = None
    resumed_epochs = 0

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return the subcommands and the arguments of their Trainer methods that are no options."""
        skipped = {"ckpt_path", "weights_only", "verbose"}
        return {name: LightningCLI.subcommands()[name] | skipped for name in ("fit", "validate", "test", "predict")}

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Return a subcommand's parser; that of predict has no data, and its network is the checkpoint's."""
        if subcommand != "predict":
            return super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser = self.init_parser(**kwargs)
        self.add_default_arguments_to_parser(parser)
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.set_defaults({f"trainer.{key}": value for key, value in self.trainer_defaults.items()})
        self.add_arguments_to_parser(parser)
        parser.add_argument(
            "--model", type=str | None, help="The network's class, if it is one of yours: module.Class."
        )
        parser.add_argument(
            "--invert",
            type=Literal["auto", "yes", "no"],
            default="auto",
            help="Whether light and dark are exchanged; auto: where a border is light, for a network that was trained "
            "on light things on black (FashionMNIST, Digits).",
        )
        parser.add_argument("--output", type=str | None, help="CSV file for the probabilities of all classes.")
        parser.add_argument(
            "--batch_size", type=PositiveInt | None, help="Images at a time; by default as in tests of the network."
        )
        parser.add_argument("paths", nargs="+", type=str, help="Image files, and folders of them.")
        self._subcommand_method_arguments[subcommand] = []
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options beside Trainer, model and data, and take image shape and classes from the data."""
        parser.add_argument(
            "--threads",
            type=NonNegativeInt,
            default=1,
            help="CPU threads of each process; 0 leaves it to PyTorch, which takes every core.",
        )
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            help="Checkpoint to go on from or to score: last or best of the newest run, a run's folder, a .ckpt file.",
        )
        for action in parser._actions:
            if action.dest == "config":
                action.help = (
                    f"A packaged recipe ({', '.join(sorted(file.stem for file in RECIPES.glob('*')))}) or a file."
                )
        for name in LINKED if any(action.dest == "data" for action in parser._actions) else ():
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line behind the defaults or the settings of a checkpoint."""
        self.config = parser.parse_args(self.complete(sys.argv[1:] if args is None else args))

    def complete(self, args: list[str]) -> list[str]:
        """Return the command line with the names of recipes and checkpoints resolved.

        Defaults, and what a checkpoint holds, are put before the user's options, which so win. As defaults of the
        parser they would leak: `--model CNN` would inherit the MLP's learning rate.
        """
        if not args or args[0] not in self.subcommands():
            return args
        subcommand, *rest = args
        for i, word in enumerate(rest):
            option, equals, value = word.partition("=")
            if option in ("-c", "--config") and equals:
                rest[i] = f"--config={find_recipe(value)}"
            elif option in ("-c", "--config") and i + 1 < len(rest):
                rest[i + 1] = find_recipe(rest[i + 1])
            elif option.removeprefix("--model.").removeprefix("init_args.") in LINKED:
                raise SettingError(f"{option} comes from the data: leave it out")
            elif option == "--data.val_split" and subcommand == "validate":
                raise SettingError("--data.val_split: which images were held out of training is in the checkpoint")
        known = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
        for option in ("--ckpt_path", "--model", "--data"):
            known.add_argument(option, default="")
        known.add_argument("--trainer.default_root_dir", dest="root", default=".")
        try:
            options, others = known.parse_known_args(rest)
        except argparse.ArgumentError as error:
            raise SettingError(str(error)) from error
        self.ckpt_path = None
        if not options.ckpt_path:
            if subcommand != "fit" and not {"-h", "--help"} & set(others):
                raise SettingError(f"{subcommand} needs a checkpoint: --ckpt_path last, best, a run's folder or a file")
            defaults = ["--model=MLP", "--data=FashionMNIST"]
            if not any(word.startswith(("--trainer.max_steps", "--trainer.max_time")) for word in others):
                defaults.append("--trainer.max_epochs=30")
            return [subcommand, *defaults, *rest]
        for class_path in (options.model, options.data):
            # A class that the user names may be imported; one that only the checkpoint names is not.
            pydoc.locate(class_path)
        logs = Path(options.root, LOGS)
        self.ckpt_path = find_checkpoint(options.ckpt_path, logs)
        checkpoint = load_checkpoint(self.ckpt_path)
        rank_zero_only(print)(f"checkpoint: {self.ckpt_path}", flush=True)
        if subcommand == "predict":
            return [subcommand, *rest]
        settings = read_settings(checkpoint)
        if not options.data and "data" not in checkpoint["classes"]:
            raise SettingError(f"{self.ckpt_path} names no data set: add --data")
        run = self.ckpt_path.parent.parent
        if subcommand == "fit" and run.parent.resolve() == logs.resolve():
            self.resumed_run, self.resumed_epochs = run, checkpoint["epoch"] + 1
            if (config := run / "config.yaml").is_file():
                settings.insert(0, f"--config={config}")
        return [subcommand, *settings, *rest]

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning would let the checkpoint's settings overrule those of the command line."""

    def before_instantiate_classes(self) -> None:
        """Set the number of threads, and refuse what could only be ignored."""
        settings = self.config[self.subcommand]
        if settings.ckpt_path and not self.ckpt_path:
            raise SettingError("ckpt_path belongs on the command line, not into a configuration file")
        settings.ckpt_path = None  # config.yaml is to start the run anew
        if settings.threads:
            torch.set_num_threads(settings.threads)
            os.environ["OMP_NUM_THREADS"] = str(settings.threads)  # which further processes go by
        if self.subcommand == "predict":
            return
        classes = reversed(pydoc.locate(settings.model.class_path).__mro__)
        parameters = [parameter for part in classes for parameter in inspect.signature(part).parameters.values()]
        defaults = {parameter.name: parameter.default for parameter in parameters}
        for name in LINKED:
            if name not in settings.model.init_args:
                raise SettingError(f"{settings.model.class_path} takes no {name}: pass **options on to ImageClassifier")
            if settings.model.init_args[name] != defaults[name]:
                raise SettingError(f"model.init_args.{name} comes from the data: leave it out")
        if 0 < (settings.trainer.max_epochs or 0) <= self.resumed_epochs:
            raise SettingError(
                f"{self.resumed_run} has done {self.resumed_epochs} of {settings.trainer.max_epochs} epochs: "
                "to go on, give --trainer.max_epochs"
            )

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Return the Trainer with logger, checkpoints and callbacks, as far as they are not switched off."""
        settings = self.config_init[self.subcommand].trainer
        callbacks: list[Callback] = [EpochLines(bar=settings.enable_progress_bar is not False)]
        kwargs["enable_progress_bar"] = True
        kwargs["profiler"] = settings.profiler or NoProfiler()
        if self.subcommand == "predict":
            callbacks, kwargs["enable_progress_bar"] = [], False
        if self.subcommand != "fit":
            self.save_config_callback = None
            kwargs.update(logger=False, enable_checkpointing=False)
        elif settings.logger in (None, True):
            kwargs["logger"] = TensorBoardLogger(
                settings.default_root_dir or ".",
                name=LOGS,
                version=self.resumed_run and self.resumed_run.name,
                default_hp_metric=False,
                # TensorBoard then drops what the run had logged after the epoch it is resumed from.
                purge_step=self.resumed_epochs + 1 if self.resumed_run else None,
            )
        elif not settings.logger:
            self.save_config_callback = None
        if self.subcommand == "fit":
            callbacks.append(RunRecord())
            if settings.enable_checkpointing is not False:
                if self.datamodule.hparams.val_split:
                    # Before "last", which so holds the state of "best" as of the same epoch.
                    callbacks.append(RunCheckpoint("best", monitor="accuracy/val"))
                callbacks.append(RunCheckpoint("last"))
        self.trainer_defaults["callbacks"] = callbacks  # added to those of the user
        try:
            return super().instantiate_trainer(**kwargs)
        except (ImportError, ValueError, MisconfigurationException) as error:
            raise SettingError(f"trainer: {' '.join(str(error).split())}") from error

    def fit(self, **parts: Any) -> None:
        """Train, from the checkpoint on if there is one."""
        self.run_trainer(self.trainer.fit, parts)

    def validate(self, **parts: Any) -> None:
        """Score the validation images."""
        self.run_trainer(self.trainer.validate, {**parts, "verbose": False})

    def test(self, **parts: Any) -> None:
        """Score the test images."""
        self.run_trainer(self.trainer.test, {**parts, "verbose": False})

    def predict(self, **_: Any) -> None:
        """Print what is on the user's images."""
        options = self.config_init.predict
        checkpoint = load_checkpoint(self.ckpt_path)
        if (given := options.model) and given.split(".")[-1] != checkpoint["classes"]["model"].split(".")[-1]:
            raise SettingError(f"--model {given}: the checkpoint holds a {checkpoint['classes']['model']}")
        dark_background = getattr(find_class(checkpoint, "data"), "dark_background", False)
        stored = checkpoint.get("datamodule_hyper_parameters", {})
        predict_files(
            self.trainer,
            load_model(self.ckpt_path),
            options.paths,
            batch_size=options.batch_size or stored.get("test_batch_size", 250),
            invert="no" if options.invert == "auto" and not dark_background else options.invert,
            output=options.output,
            bar=options.trainer.enable_progress_bar is not False,
        )

    def run_trainer(self, method: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Call a method of the Trainer, once the files of the data are there; of a checkpoint only data are read."""
        self.datamodule.prepare_data()  # before further processes are started, which could not say what is missing
        method(**arguments, ckpt_path=self.ckpt_path, weights_only=True)


def silence_lightning() -> None:
    """Keep out of a default run what Lightning says to everybody: tips, and warnings that do not fit this data."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The images are in memory: no worker would be faster.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # Everything is logged once an epoch, none of it per step.
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
    # Lightning 2.6.6 calls what PyTorch 2.15 deprecates.
    warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
    # Scoring needs none of the callbacks that made the checkpoint.
    warnings.filterwarnings("ignore", ".*callbacks used to create the checkpoint need to be provided.*")
    # A resumed run goes on in its own folder.
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")


def main(args: list[str] | None = None) -> None:
    """Run the command line; what the user can put right ends in one line and exit status 1 or 2."""
    silence_lightning()
    try:
        ClassifierCLI(
            ImageClassifier,
            ImageDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_kwargs={"overwrite": True},
            parser_class=Parser,
            parser_kwargs={
                "prog": "python -m classifier",
                "description": "Train image classifiers, score what was trained, and predict.",
                "allow_abbrev": False,
                **{name: {"usage": f"python -m classifier {name} [options]"} for name in ClassifierCLI.subcommands()},
                "predict": {"usage": "python -m classifier predict [options] PATH [PATH ...]"},
            },
            # One device, as more would make the batches of a recipe larger.
            trainer_defaults={"devices": 1, "num_sanity_val_steps": 0, "enable_model_summary": False},
            args=args,
        )
    except BrokenPipeError:
        # The reader of a pipe, such as head, has gone; what Python flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        if (cause := find_user_error(error)) is None:
            raise
        print(f"python -m classifier: error: {cause}", file=sys.stderr)
        sys.exit(getattr(cause, "exit_status", SettingError.exit_status))


def find_user_error(error: BaseException | None) -> BaseException | None:
    """Return the error that speaks to the user among an error and those it was raised from, or None."""
    while error is not None and not isinstance(error, (UserError, MisconfigurationException)):
        error = error.__cause__ or error.__context__
    return error
