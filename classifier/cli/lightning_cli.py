"""`fit`, `validate` and `test`: Lightning's CLI builds network, data and Trainer, and then the Trainer runs."""

import contextlib
import inspect
import signal
from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

import classifier
from classifier.callbacks.console import ConsoleReporter
from classifier.callbacks.image_scores import ImageScores
from classifier.cli import PROG, trainer_setup
from classifier.cli.allocator import keep_freed_memory
from classifier.cli.bounded_yaml import ConfigFile
from classifier.cli.config_checks import check_config, check_seed, check_sweep, is_sweep, set_classes
from classifier.cli.config_types import check_types
from classifier.cli.finders import Finder, search_settings, take_finders
from classifier.cli.function_commands import set_threads
from classifier.cli.lightning_parser import LightningParser
from classifier.cli.options import add_options
from classifier.cli.paths import expand_argv, expand_settings
from classifier.cli.processes import check_processes, wait_for_processes
from classifier.cli.profiling import NoProfiler, record_only_while_profiling
from classifier.cli.quiet import silence_lightning
from classifier.cli.resolve import RECIPES, resolve_argv
from classifier.cli.resume_command import list_packages, print_resume_command
from classifier.cli.run_loggers import keeps_run, make_loggers, open_run
from classifier.cli.run_names import check_name, list_runs, name_run
from classifier.cli.save_config import SaveConfig
from classifier.cli.sweep import train_runs
from classifier.cli.trainer_options import Trainer, check_typed_options, get_trainer_defaults
from classifier.cli.trainer_parts import describe, raise_for_failing_part, report_failing_parts
from classifier.cli.untrained import check_trained, remove_empty_run
from classifier.data.base import ImageDataModule
from classifier.errors import SettingError, UserError
from classifier.models.base import ImageClassifier
from classifier.models.checks import ARGS_FROM_DATA
from classifier.runs.checkpoints import load_checkpoint
from classifier.tables import check_output


def fit(argv: list[str]) -> None:
    """Train a network, by default the tutorial's MLP on FashionMNIST for 30 epochs.

    --model.help NAME and --data.help NAME show the options of a network or a dataset.
    """
    train_runs(argv, lambda command: ClassifierCLI("fit", command, inspect.getdoc(fit)))


def validate(argv: list[str]) -> None:
    """Evaluate the network of a checkpoint on the validation images."""
    cli = ClassifierCLI("validate", argv, inspect.getdoc(validate))
    cli.run_trainer(cli.trainer.validate, verbose=False)


def test(argv: list[str]) -> None:
    """Evaluate the network of a checkpoint on the test images."""
    cli = ClassifierCLI("test", argv, inspect.getdoc(test))
    cli.run_trainer(cli.trainer.test, verbose=False)


class ClassifierCLI(LightningCLI):
    """Builds the network, the data module and the Trainer of a command from its options.

    Args:
        command: "fit", "validate" or "test".
        argv: Command-line arguments after the command's name.
        description: Text above the list of options in the command's help.

    Raises:
        UserError: An option is invalid, or a file or a checkpoint is missing or damaged.
    """

    def __init__(self, command: str, argv: list[str], description: str | None) -> None:
        self.command = command
        self.runs: dict[int, list[str]] = {0: []}  # the options of each, by seed
        self.name: str | None = None
        self.is_sweep = False
        self.finders: list[Finder] = []
        check_typed_options(command, argv)
        self.resolved = resolve_argv(command, expand_argv(argv))
        silence_lightning()
        for name in classifier.__all__:  # registers the networks and datasets under their names
            getattr(classifier, name)
        super().__init__(
            ImageClassifier,
            ImageDataModule,
            save_config_callback=SaveConfig if command == "fit" else None,
            trainer_class=Trainer,
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            parser_class=LightningParser,
            parser_kwargs={
                "prog": f"{PROG} {command}",
                "usage": f"{PROG} {command} [options]",
                "description": description,
                "allow_abbrev": False,
            },
            trainer_defaults=get_trainer_defaults(),
            run=False,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Return a parser with `--config`."""
        parser = self.parser_class(dump_header=[f"lightning.pytorch=={L.__version__}"], **kwargs)
        recipes = f"A packaged recipe ({', '.join(RECIPES)}) or a YAML file."
        parser.add_argument("-c", "--config", action=ConfigFile, help=recipes)
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the package's own options, and link the network's `image_shape` and `num_classes` to the data."""
        add_options(parser, self.command)
        for name in ARGS_FROM_DATA:
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse the resolved command line, expand its paths, and check the seed, which is used next."""
        self.config = parser.parse_args(self.resolved.argv)
        expand_settings(self.config)
        check_seed(self.config.seed_everything)

    def before_instantiate_classes(self) -> None:
        """Check the configuration, and set the number of threads."""
        check_types(self.config)
        if self.command == "fit":
            check_sweep(self.config, self.resolved)
            self.is_sweep = is_sweep(self.config)
        check_config(self.config, self.resolved, self.command)
        if self.command != "fit" and self.config.output is not None:
            check_output(self.config.output)
        if self.command == "fit":
            check_name(self.config, self.resolved.resumed_run is not None)
            self.runs = list_runs(self.config)
            self.name = name_run(self.config)
            self.finders = take_finders(self.config, self.resolved.ckpt_path is not None)
            # config.yaml, in which this is saved, describes one run.
            self.config.seeds, self.config.sweep, self.config.name = 1, [], None
        else:
            set_classes(self.config.data, self.resolved.class_names)
        self.packages = list_packages(self.config)
        # It also starts that run from the beginning, and allows no imports.
        self.config.ckpt_path, self.config.allow_import = None, []
        set_threads(self.config.threads)

    def instantiate_classes(self) -> None:
        """Build network, data and Trainer, and set the class names of a checkpoint, which the parser does not get."""
        with report_failing_parts(self.parser):
            super().instantiate_classes()
        self.model.hparams["class_names"] = self.model.hparams["class_names"] or self.resolved.class_names

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Return the Trainer with logger, checkpoints and callbacks, unless they are switched off."""
        settings = self.config_init.trainer
        callbacks = trainer_setup.make_evaluation_callbacks(settings)
        if any(isinstance(callback, ConsoleReporter) for callback in callbacks):
            kwargs["enable_progress_bar"] = True  # it is the bar
        kwargs["profiler"] = settings.profiler or NoProfiler()
        kwargs["plugins"] = trainer_setup.make_plugins(settings.plugins)
        if self.command != "fit":
            kwargs.update(logger=False, enable_checkpointing=False)
            callbacks.append(ImageScores(self.config.output))
        else:
            has_validation_images = self.datamodule.has_validation_images
            callbacks += trainer_setup.make_fit_callbacks(settings, self.config.pictures, has_validation_images)
            if self.creates_run:
                kwargs["logger"] = False  # until a folder is created for it, when all files are known to be there
            else:
                self.save_config_callback = None
        self.trainer_defaults["callbacks"] = callbacks  # added to those of the user
        try:
            trainer = super().instantiate_trainer(**kwargs)
            check_processes(trainer, self.is_sweep, self.creates_run)
        except UserError:
            raise
        except Exception as error:  # of settings that exclude each other, or that this machine cannot meet
            raise SettingError(f"trainer: {describe(error)}") from error
        return trainer

    @property
    def creates_run(self) -> bool:
        """Whether this command trains with a logger, and therefore writes to a run's folder."""
        return self.command == "fit" and keeps_run(self.config.trainer)

    def run_trainer(self, method: Callable[..., Any], **kwargs: Any) -> None:
        """Prepare the data, create and lock the run's folder, and call a method of the Trainer.

        Args:
            method: `fit`, `validate` or `test` of the Trainer.
            **kwargs: Further arguments of that method.

        Raises:
            UserError: Files are missing, the checkpoint does not match, or another process writes to the run.
        """
        trainer, ckpt_path = self.trainer, self.resolved.ckpt_path
        if trainer.local_rank == 0:
            # Before further processes are started, which could not report what is missing.
            self.datamodule.prepare_data()
        search_settings(self.finders, trainer, self.model, self.datamodule, self.config)
        keep_freed_memory()  # from here on, because imports and the decoding of files need no memory that is kept
        run: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if self.creates_run:
            checkpoint = load_checkpoint(ckpt_path) if ckpt_path else {}
            if checkpoint:
                # A checkpoint that does not fit is refused before the run that it belongs to is written to.
                self.model.on_load_checkpoint(checkpoint)
                if trainer.local_rank == 0:
                    trainer_setup.check_resumed_data(self.model, self.datamodule, self.resolved)
            given = self.config_init.trainer.logger
            loggers = make_loggers(self.config.trainer, given, self.resolved.resumed_run, self.name)
            run = open_run(trainer, loggers, self.resolved, checkpoint)
        with run, record_only_while_profiling(), wait_for_processes(trainer, self.stop_processes):
            try:
                method(self.model, datamodule=self.datamodule, ckpt_path=ckpt_path, weights_only=True, **kwargs)
                if self.command == "fit":
                    check_trained(trainer, self.resolved.checkpoint_steps, self.resolved.position.epochs)
            except BaseException as error:
                self.stop_processes(error)
                raise_for_failing_part(error, self.config_init.trainer)
                raise

    def stop_processes(self, error: BaseException | None = None) -> None:
        """Stop the processes that this one has started, which would wait for it, and print how to continue the run.

        Args:
            error: The error that ended the run, if any. The folder of a run without a checkpoint is then removed.
        """
        if self.trainer.strategy.launcher is not None:
            self.trainer.strategy.launcher.kill(getattr(signal, "SIGKILL", signal.SIGTERM))
        if self.creates_run and not (error and remove_empty_run(str(self.trainer.loggers[0].log_dir), error)):
            print_resume_command(self.trainer, self.packages)
