"""The parser of the command line, which says what is wrong with it in one line."""

import argparse
import difflib
import inspect
import re
from typing import NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from classifier.base import ImageClassifier
from classifier.class_paths import list_subclasses
from classifier.data import ImageDataModule
from classifier.errors import SettingError

# The Trainer options that --help shows; all others work, and stand in Lightning's documentation and --print_config.
COMMON = (
    *("accelerator", "devices", "strategy", "num_nodes", "precision", "max_epochs", "max_steps", "max_time"),
    *("limit_train_batches", "overfit_batches", "fast_dev_run", "accumulate_grad_batches", "gradient_clip_val"),
    *("logger", "enable_checkpointing", "enable_progress_bar", "default_root_dir", "deterministic"),
)


def shorten(message: str) -> str:
    """Return jsonargparse's account of an error, which walks through every type it tried, as one line."""
    keys = re.findall(r'Parser key "([\w.]+)"', message)
    value = re.search(r"Given value: (?:NestedArg\(.*val=)?'?([^\n')]*)", message)
    lines = [line.strip(" -") for line in message.splitlines()]
    noise = ("Parser key", "Does not validate", "Subtypes", "Errors:", "NoneType", "Problem with", "Given value")
    reasons = [line for line in lines if line and not any(word in line for word in noise)] or lines[-1:]
    base = {"model": ImageClassifier, "data": ImageDataModule}.get(keys[0] if keys else "")
    if denied := re.search(r"Importing '(([\w]+)[\w.]*)' is not allowed", message):
        reasons = [f"{denied[1]} is not part of classifier; if you trust it, add --allow_import {denied[2]}"]
    elif base and re.search("dot import path|abstract|not a subclass|Import path", message):
        names = sorted(part.__name__ for part in list_subclasses(base) if not inspect.isabstract(part))
        reasons = [f"{value[1] if value else 'the value'} is none of {', '.join(names)}"]
    elif value and "(" not in value[1] and value[1] not in "; ".join(reasons):
        reasons.append(f"got {value[1]}")
    text = re.sub(r"<class '([\w.]+)'>", r"\1", "; ".join(dict.fromkeys(reasons)))
    text = re.sub(r"(arguments are required: )\w+\.", r"\1--", text)  # after the name of the subcommand
    text = text.replace("--paths", "PATH")
    return f"--{'.'.join(keys)}: {text}" if keys else text


class Parser(LightningArgumentParser):
    """A parser whose errors are one line, and whose help leaves out the rare options of the Trainer."""

    def format_help(self) -> str:
        """Return the help; the rare options are hidden from it alone, as jsonargparse saves no hidden option."""
        texts = {action: action.help for action in self._actions}
        for action in texts:
            if action.dest.startswith("trainer.") and action.dest.removeprefix("trainer.") not in COMMON:
                action.help = argparse.SUPPRESS
        try:
            return super().format_help()
        finally:
            for action, text in texts.items():
                action.help = text

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a SettingError that says what is wrong, and what was probably meant."""
        text = shorten(message)
        if unknown := re.match(r"unrecognized arguments: (--[\w.]+)", message):
            options = [option for action in self._actions for option in action.option_strings]
            parser = getattr(ex, "subcommand_parser", None) or self
            options += [option for action in parser._actions for option in action.option_strings]
            if close := difflib.get_close_matches(unknown[1], options, n=1):
                text += f"; did you mean {close[0]}?"
        raise SettingError(text)
