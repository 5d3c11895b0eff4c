"""Parsers whose errors are one line, with a suggestion for a mistyped option."""

import difflib
import inspect
import re
from typing import NoReturn

from jsonargparse import ArgumentParser, set_parsing_settings

from classifier.class_paths import list_subclasses
from classifier.errors import SettingError

# Packages whose classes a file may name. Others need --allow_import. Lightning's other packages, and PyTorch, contain
# functions that run what they are given.
PARTS = ("callbacks", "loggers", "profilers", "strategies", "plugins")
ALLOWED_PACKAGES = ("classifier", *(f"lightning.pytorch.{name}" for name in PARTS), "lightning.fabric.plugins")

# Lines of jsonargparse's message that walk through the types it tried.
NOISE = ("Parser key", "Does not validate", "Subtypes", "Errors:", "NoneType", "Problem with", "Given value")


def shorten_message(message: str) -> str:
    """Return an error message of jsonargparse as one line, without the list of types that it tried."""
    keys = re.findall(r'Parser key "([\w.]+)"', message)
    value = re.search(r"Given value: (?:NestedArg\(.*val=)?'?([^\n')]*)", message)
    lines = [line.strip(" -") for line in message.splitlines()]
    reasons = [line for line in lines if line and not any(noise in line for noise in NOISE)] or lines[-1:]
    if denied := re.search(r"Importing '(([\w]+)[\w.]*)' is not allowed", message):
        reasons = [f"{denied[1]} is not part of classifier; if you trust it, add --allow_import {denied[2]}"]
    elif keys and re.search("dot import path|abstract|not a subclass|Import path", message):
        if choices := list_choices(keys[0]):
            reasons = [f"{value[1] if value else 'the value'} is none of {', '.join(choices)}"]
    elif value and "(" not in value[1] and value[1] not in "; ".join(reasons):
        reasons.append(f"got {value[1]}")
    text = re.sub(r"<class '([\w.]+)'>", r"\1", "; ".join(dict.fromkeys(reasons)))
    text = re.sub(r"(?<=required: )\w+$", lambda name: "PATH" if name[0] == "paths" else f"--{name[0]}", text)
    return f"--{'.'.join(keys)}: {text}" if keys else text


def list_choices(key: str) -> list[str]:
    """Return the networks for the option "model", the datasets for "data", and an empty list for any other."""
    if key not in ("model", "data"):
        return []
    from classifier.data.base import ImageDataModule
    from classifier.models.base import ImageClassifier

    base = {"model": ImageClassifier, "data": ImageDataModule}[key]
    return sorted(cls.__name__ for cls in list_subclasses(base) if not inspect.isabstract(cls))


def allow_imports(packages: list[str]) -> None:
    """Set the packages that options and files may import classes from, in addition to `ALLOWED_PACKAGES`.

    Args:
        packages: Names of packages, such as "my_package".

    Raises:
        SettingError: A name is not a valid import path.
    """
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=list(ALLOWED_PACKAGES),
        config_read_mode_fsspec_enabled=False,  # no settings from the network
    )
    try:
        set_parsing_settings(import_path_allowlist=packages)
    except ValueError as error:
        raise SettingError(f"--allow_import: {error}") from error


class OneLineErrorParser(ArgumentParser):
    """A parser that raises a SettingError with a one-line message for every error in a command line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a SettingError with the reason and, for an unknown option, the most similar option."""
        text = shorten_message(message)
        if unknown := re.match(r"unrecognized arguments: --([\w.]+)", message):
            close = difflib.get_close_matches(unknown[1], self.get_defaults().keys(), n=1)
            text += f"; did you mean --{close[0]}?" if close else ""
        raise SettingError(text)
