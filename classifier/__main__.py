"""Entry of `python -m classifier`: what the user can put right ends in one line, and a stopped run in how to go on."""

import gc
import os
import signal
import sys
import time
from pathlib import Path

from jsonargparse import set_parsing_settings
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from classifier.base import ImageClassifier
from classifier.cli import ClassifierCLI, silence_lightning
from classifier.data import ImageDataModule
from classifier.errors import SettingError, UserError
from classifier.export import ExportTrainer
from classifier.parser import Parser
from classifier.signals import get_exit_status, raise_terminated
from classifier.sweep import describe_runs


def run_command(words: list[str]) -> ClassifierCLI:
    """Do what the words of a command line say, and return what did it."""
    return ClassifierCLI(
        ImageClassifier,
        ImageDataModule,
        trainer_class=ExportTrainer,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        save_config_kwargs={"overwrite": True},
        parser_class=Parser,
        parser_kwargs={
            "prog": "python -m classifier",
            "description": "Train image classifiers, score what was trained, predict and export.",
            "allow_abbrev": False,
        },
        # One device, as more would make the batches of a recipe larger, unless torchrun has started more.
        trainer_defaults={
            "devices": int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
            "num_nodes": int(os.environ.get("GROUP_WORLD_SIZE", "1")),
            "num_sanity_val_steps": 0,
            "enable_model_summary": False,
        },
        args=words,
    )


def main(args: list[str] | None = None) -> None:
    """Run the command line; what the user can put right ends in one line and exit status 1 or 2.

    The environment variable CLASSIFIER_TRACEBACK=1 shows where in the program that line comes from.
    """
    words = sys.argv[1:] if args is None else args
    silence_lightning()
    signal.signal(signal.SIGTERM, raise_terminated)
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["classifier", "lightning", "torch"])
    try:
        cli = run_command(words)
        if cli.seeds > 1:
            first, runs = int(os.environ["PL_GLOBAL_SEED"]), [cli.trainer.log_dir]
            for seed in range(first + 1, first + cli.seeds):
                cli = None
                gc.collect()  # the data of the run before
                print(f"\nseed {seed}", flush=True)
                runs.append(run_command([*words, f"--seed_everything={seed}"]).trainer.log_dir)
            print("\n" + describe_runs([Path(os.path.relpath(run)) for run in runs]))
    except BrokenPipeError:
        # The reader of a pipe, such as head, has gone; what Python flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning ends with SystemExit after Ctrl-C.
        interrupt = stop if isinstance(stop, KeyboardInterrupt) else stop.__context__
        if not isinstance(interrupt, KeyboardInterrupt):
            raise
        sys.exit(get_exit_status(interrupt))
    except Exception as error:
        cause = find_user_error(error)
        if cause is None or os.environ.get("CLASSIFIER_TRACEBACK", "0") != "0":
            raise
        if rank_zero_only.rank:
            time.sleep(2)  # the first process, if it fails too, speaks for all and ends them
        print(f"python -m classifier: error: {cause}", file=sys.stderr)
        sys.exit(cause.exit_status)


def find_user_error(error: BaseException | None) -> UserError | None:
    """Return the error that speaks to the user among an error and those it was raised from, or None."""
    if isinstance(error, OSError):
        return UserError(error)  # a disk that is full, a file that cannot be written: not our bug
    while error is not None and not isinstance(error, (UserError, MisconfigurationException)):
        error = error.__cause__ or error.__context__
    return SettingError(error) if isinstance(error, MisconfigurationException) else error


if __name__ == "__main__":
    main()
