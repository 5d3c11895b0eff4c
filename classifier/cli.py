"""The command line: Lightning's own CLI with short names, packaged recipes and the settings kept in checkpoints."""

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
from typing import Any

import lightning as L
import torch
from jsonargparse.typing import NonNegativeInt, PositiveInt
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import CheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from classifier.arguments import COMMANDS, FROM_CHECKPOINT, LOGS, RECIPES, CommandLine, complete
from classifier.callbacks import EpochLines, RunRecord
from classifier.checkpoints import (
    LINKED,
    AtomicCheckpointIO,
    RunCheckpoint,
    claim_run,
    hold_run,
    load_checkpoint,
    load_model,
)
from classifier.errors import SettingError, require
from classifier.export import check_output, export_classifier, read_test_images
from classifier.pictures import Pictures
from classifier.predict import predict_files
from classifier.shortcuts import NoProfiler, set_marks_on_demand
from classifier.signals import StopOnSigterm


class ClassifierCLI(LightningCLI):
    """`fit`, `validate` and `test` for any network and any data set of the package, `predict` and `export`."""

    command_line = CommandLine([])
    seeds = 1

    def __init__(self, *classes: type, args: list[str] | None = None, **options: Any) -> None:
        self.words = sys.argv[1:] if args is None else args
        for name in self.subcommands():
            paths = " PATH [PATH ...]" if name == "predict" else ""
            usage = f"python -m classifier {name} [options]{paths}"
            options["parser_kwargs"][name] = {"usage": usage, "description": COMMANDS[name]}
        super().__init__(*classes, args=args, **options)

    def subcommands(self) -> dict[str, set[str]]:
        """Return the subcommand asked for, or all, and the arguments of its Trainer method that are no options."""
        asked = self.words[:1] if set(self.words[:1]) & set(COMMANDS) else COMMANDS  # each parser takes 0.1 s to make
        skipped = {"ckpt_path", "weights_only", "verbose"}
        return {name: LightningCLI.subcommands().get(name, set()) | skipped for name in asked}

    def _add_subcommands(self, parser: LightningArgumentParser, **kwargs: Any) -> None:
        """Add the subcommands, described by what they do here."""
        super()._add_subcommands(parser, **kwargs)
        for action in parser._subcommands_action._choices_actions:
            action.help = COMMANDS[action.dest]

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """Return a subcommand's parser; predict and export take network and data from the checkpoint."""
        if subcommand not in FROM_CHECKPOINT:
            parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
            for name in LINKED:
                parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")
        else:
            parser = self.init_parser(**kwargs)
            self.add_default_arguments_to_parser(parser)
            parser.add_lightning_class_args(self.trainer_class, "trainer")
            parser.set_defaults({f"trainer.{key}": value for key, value in self.trainer_defaults.items()})
            self.add_arguments_to_parser(parser)
            self._subcommand_method_arguments[subcommand] = []
        if subcommand == "fit":
            parser.add_argument(
                "--pictures",
                type=bool,
                default=True,
                help="Whether pictures of images, predictions and mistakes are drawn for TensorBoard.",
            )
            parser.add_argument(
                "--seeds",
                type=PositiveInt,
                default=1,
                help="Number of runs, from seed_everything on, one after the other; they end in a table with mean and "
                "standard deviation.",
            )
        if subcommand == "predict":
            parser.add_argument("paths", metavar="PATH", nargs="+", type=str, help="Image files, and folders of them.")
            parser.add_function_arguments(predict_files, skip={"trainer", "model", "paths"})
        if subcommand == "export":
            parser.add_function_arguments(export_classifier, skip={"module", "images"})
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
        parser.add_argument(
            "--allow_import",
            action="append",
            default=[],
            metavar="PACKAGE",
            help="Package of yours that files and checkpoints may name classes of; others are never imported.",
        )
        for action in parser._actions:
            if action.dest == "config":
                action.help = (
                    f"A packaged recipe ({', '.join(sorted(file.stem for file in RECIPES.glob('*')))}) or a file."
                )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the command line behind the defaults or the settings of a checkpoint."""
        self.command_line = complete(self.words)
        self.config = parser.parse_args(self.command_line.words)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning would let the checkpoint's settings overrule those of the command line."""

    def before_instantiate_classes(self) -> None:
        """Set the number of threads, and refuse what could only be ignored.

        Raises:
            SettingError: When an option belongs elsewhere, or leaves nothing to do.
        """
        settings, done = self.config[self.subcommand], self.command_line.resumed_epochs
        if settings.ckpt_path and not self.command_line.ckpt_path:
            raise SettingError("ckpt_path belongs on the command line, not into a configuration file")
        settings.ckpt_path, settings.allow_import = None, []  # config.yaml is to start the run anew, and trusts nobody
        if self.subcommand == "fit":
            self.seeds, settings.seeds = settings.seeds, 1  # ... and alone
            once = self.command_line.ckpt_path or settings.seed_everything is False or settings.trainer.fast_dev_run
            require(
                self.seeds == 1 or not once,
                "--seeds starts whole runs from a seed: leave out --ckpt_path, seed_everything false and fast_dev_run",
            )
        if settings.threads:
            torch.set_num_threads(settings.threads)
            os.environ["OMP_NUM_THREADS"] = str(settings.threads)  # which further processes go by
        if self.subcommand in FROM_CHECKPOINT:
            return
        classes = reversed(pydoc.locate(settings.model.class_path).__mro__)
        parameters = [parameter for part in classes for parameter in inspect.signature(part).parameters.values()]
        defaults = {parameter.name: parameter.default for parameter in parameters}
        for name in LINKED:
            if name not in settings.model.init_args:
                raise SettingError(f"{settings.model.class_path} takes no {name}: pass **options on to ImageClassifier")
            if settings.model.init_args[name] != defaults[name]:
                raise SettingError(f"model.init_args.{name} comes from the data: leave it out")
        trainer = settings.trainer
        if trainer.max_epochs is None and trainer.max_steps == -1 and trainer.max_time is None:
            trainer.max_epochs = 30  # the first tutorial's
        epochs = trainer.max_epochs
        require(epochs in (None, -1) or epochs > 0, f"max_epochs must be above 0, or -1 for no end, not {epochs}")
        if 0 < (epochs or 0) <= done:
            run = self.command_line.resumed_run
            raise SettingError(
                f"{run} has done {done} of {epochs} epochs: to go on, give --trainer.max_epochs above {done}"
            )

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Return the Trainer with logger, checkpoints and callbacks, as far as they are not switched off."""
        settings = self.config_init[self.subcommand].trainer
        bar = settings.enable_progress_bar is not False
        callbacks: list[Callback] = [StopOnSigterm()]
        if self.subcommand not in FROM_CHECKPOINT:
            callbacks.append(EpochLines(bar))
        kwargs["enable_progress_bar"] = self.subcommand not in FROM_CHECKPOINT
        kwargs["profiler"] = settings.profiler or NoProfiler()
        plugins = settings.plugins if isinstance(settings.plugins, list) else [settings.plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins = [*filter(None, plugins), AtomicCheckpointIO()]
        kwargs["plugins"] = plugins
        if self.subcommand != "fit":
            self.save_config_callback = None
            kwargs.update(logger=False, enable_checkpointing=False)
        elif self.makes_run():
            kwargs["logger"] = False  # until a folder is claimed for it, when all is known to be there
        elif not settings.logger:
            self.save_config_callback = None
        if self.subcommand == "fit":
            callbacks.append(RunRecord())
            if self.config_init.fit.pictures:
                callbacks.append(Pictures())
            if settings.enable_checkpointing is not False:
                if self.datamodule.hparams.val_split:
                    # Before "last", which so holds the state of "best" as of the same epoch.
                    callbacks.append(RunCheckpoint("best", monitor="accuracy/val"))
                callbacks.append(RunCheckpoint("last"))
        self.trainer_defaults["callbacks"] = callbacks  # added to those of the user
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (ImportError, ValueError, MisconfigurationException) as error:
            raise SettingError(f"trainer: {' '.join(str(error).split())}") from error
        started = int(os.environ.get("WORLD_SIZE", trainer.world_size))
        require(
            started == trainer.world_size,
            f"{started} processes were started, but --trainer.devices and --trainer.num_nodes ask for "
            f"{trainer.world_size}: make them agree",
        )
        require(
            self.seeds == 1 or (started == 1 and self.makes_run()),
            "--seeds trains in one process and keeps its runs: leave out --trainer.devices and --trainer.logger, or "
            "start every run by itself, with a --seed_everything of its own",
        )
        return trainer

    def makes_run(self) -> bool:
        """Return whether this command trains and logs where runs usually go."""
        settings = self.config_init[self.subcommand].trainer
        return self.subcommand == "fit" and settings.logger in (None, True) and not settings.fast_dev_run

    def make_logger(self) -> TensorBoardLogger:
        """Return the logger of a new run in a folder of its own, or of the resumed one."""
        options = {"name": LOGS, "default_hp_metric": False}
        if run := self.command_line.resumed_run:
            # TensorBoard drops what the run had logged after the epoch it goes on from.
            purge_step = self.command_line.resumed_epochs + 1
            return TensorBoardLogger(run.parent.parent, version=run.name, purge_step=purge_step, **options)
        root = self.config_init["fit"].trainer.default_root_dir or "."
        return TensorBoardLogger(
            root, version=claim_run(Path(root, LOGS)) if rank_zero_only.rank == 0 else None, **options
        )

    def fit(self, **parts: Any) -> None:
        """Train, from the checkpoint on if there is one."""
        self.run_trainer(self.trainer.fit, parts)

    @rank_zero_only
    def explain_how_to_go_on(self) -> None:
        """Print the command that goes on from the last checkpoint of the run."""
        if self.makes_run():
            run = Path(os.path.relpath(self.trainer.loggers[0].log_dir))
            saved = (run / "checkpoints" / "last.ckpt").is_file()
            packages = {type(part).__module__.split(".")[0] for part in (self.model, self.datamodule)} - {"classifier"}
            words = ["python -m classifier fit --ckpt_path", str(run), *(f"--allow_import {name}" for name in packages)]
            print(f"\nstopped; {'go on: ' + ' '.join(words) if saved else 'no epoch is saved yet'}", flush=True)

    def validate(self, **parts: Any) -> None:
        """Score the validation images."""
        self.run_trainer(self.trainer.validate, {**parts, "verbose": False})

    def test(self, **parts: Any) -> None:
        """Score the test images."""
        self.run_trainer(self.trainer.test, {**parts, "verbose": False})

    def predict(self, **_: Any) -> None:
        """Print what is on the user's images."""
        options, checkpoint = self.config_init.predict, load_checkpoint(self.command_line.ckpt_path)
        invert = "no" if options.invert == "auto" and not checkpoint.get("dark_background") else options.invert
        model = load_model(checkpoint)
        predict_files(self.trainer, model, options.paths, options.output, invert, options.batch_size)

    def export(self, **_: Any) -> None:
        """Write the network of a checkpoint to a file, and say on which images it was tried."""
        check_output(self.config_init.export.output)
        checkpoint = load_checkpoint(self.command_line.ckpt_path)
        images, kind = read_test_images(checkpoint)
        output = self.config_init.export.output
        difference = export_classifier(load_model(checkpoint), output, images)
        print(f"{output}: same classes on {len(images):,} {kind} images, logits differ by at most {difference:.1e}")

    def run_trainer(self, method: Callable[..., Any], arguments: dict[str, Any]) -> None:
        """Call a method of the Trainer, once the files of the data are there; of a checkpoint only data are read."""
        if self.trainer.local_rank == 0:
            # Before further processes are started, which could not say what is missing.
            self.datamodule.prepare_data()
        if self.makes_run():
            if self.command_line.ckpt_path:
                # One that does not fit is refused before the run it belongs to is written to.
                self.model.on_load_checkpoint(load_checkpoint(self.command_line.ckpt_path))
            self.trainer.logger = self.make_logger()
        holds = self.makes_run() and rank_zero_only.rank == 0
        held = hold_run(Path(self.trainer.logger.log_dir)) if holds else contextlib.nullcontext()
        with held, set_marks_on_demand():
            try:
                method(**arguments, ckpt_path=self.command_line.ckpt_path, weights_only=True)
            except BaseException:
                if self.trainer.strategy.launcher is not None:
                    self.trainer.strategy.launcher.kill(signal.SIGKILL)  # further processes would wait for this one
                self.explain_how_to_go_on()
                raise


def silence_lightning() -> None:
    """Keep out of a default run what Lightning says to everybody: tips, and warnings that do not fit this data."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # the report that somebody asked for
    # The images are in memory: no worker would be faster.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    # Everything is logged once an epoch, none of it per step.
    warnings.filterwarnings("ignore", ".*is smaller than the logging interval.*")
    # Lightning 2.6.6 calls what PyTorch 2.15 deprecates.
    warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")
    # Scoring needs none of the callbacks that made the checkpoint.
    warnings.filterwarnings("ignore", ".*callbacks used to create the checkpoint need to be provided.*")
    # A run that goes on from a checkpoint of another folder has a best epoch of its own.
    warnings.filterwarnings("ignore", ".*The dirpath has changed from.*")
    # A resumed run goes on in its own folder.
    warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
