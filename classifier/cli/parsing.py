"""Parsers whose errors are one line, with a suggestion for a mistyped option."""

import inspect
import itertools
import pydoc
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentParser, Namespace, set_dumper, set_parsing_settings

import classifier
from classifier.class_paths import list_subclasses
from classifier.cli.help_text import tidy_texts
from classifier.cli.suggestions import (
    describe_suggestion,
    suggest_class,
    suggest_for_argument,
    suggest_option,
    suggest_part,
)
from classifier.errors import SettingError, make_printable, one_line

# Packages whose classes a file may name. Others need --allow_import. Lightning's other packages, and PyTorch, contain
# functions that run what they are given.
PARTS = ("callbacks", "loggers", "profilers", "strategies", "plugins")
DTYPES = ("torch.dtype", "torch.bfloat16", "torch.float16", "torch.float32", "torch.float64")
ALLOWED_PACKAGES = (
    "classifier",
    *(f"lightning.pytorch.{name}" for name in PARTS),
    *("lightning.fabric.plugins", *DTYPES),
)

BASES = {"model": "classifier.models.base.ImageClassifier", "data": "classifier.data.base.ImageDataModule"}
NOT_SUGGESTED = ("image_shape", "num_classes", "class_names", "print_config")  # the data decides

METAVARS = {"paths": "PATH", "runs": "RUN"}  # of positional arguments
MAX_MESSAGE = 500  # characters

# Lines of jsonargparse's message that walk through the types it tried.
NOISE = (
    *("Parser key", "Does not validate", "Subtypes", "Errors:", "NoneType", "Problem with", "Given value"),
    *("Subclass types expect", "a class path (str)", "a dict with", "Not a valid subclass of", "Unable to load config"),
    "Expected a path but",
)


def shorten_message(message: str) -> str:
    """Return an error message of jsonargparse as one line, without the list of types that it tried."""
    keys = re.findall(r'Parser key "([\w.]+)"', message)
    # In a file of its own, a key is repeated with its parent's name.
    keys = [
        key for key, child in itertools.zip_longest(keys, keys[1:], fillvalue="") if not child.startswith(f"{key}.")
    ]
    value = re.search(r"Given value: (?:NestedArg\(.*val=)?'?([^\n')]*)", message)
    lines = [line.strip(" -") for line in message.splitlines()]
    reasons = [line for line in lines if line and not any(noise in line for noise in NOISE)] or [
        re.sub(r'^Parser key "[\w.]+": *', "", lines[-1])
    ]
    if re.search(r"Importing 'lightning\.Callback'|but lightning\.[\w.]+ is abstract", message):
        reasons = ["give its class before its options"]  # only options were given, of which class is unknown
    elif denied := re.search(r"Importing '(([\w]+)[\w.]*)' is not allowed", message):
        reasons = [f"{denied[1]} is not part of classifier; if you trust it, add --allow_import {denied[2]}"]
    elif reason := re.search(r"\S+ is not part of classifier; if you trust it, add --allow_import \w+", message):
        reasons = [reason[0]]  # of a class within a class
    elif others := drop_other_bases(reasons):
        reasons = others
    elif keys and re.search("dot import path|abstract|not a subclass|Import path", message):
        if choices := list_choices(keys[0]):
            reasons = [f"{value[1] if value else 'the value'} is none of {', '.join(choices)}"]
    elif value and "(" not in value[1] and value[1] not in "; ".join(reasons):
        reasons.append(f"got {value[1]}")
    text = re.sub(r"<class '([\w.]+)'>", r"\1", "; ".join(dict.fromkeys(reasons)))
    text = re.sub(r"Expected a typing\.Literal\[([^\]]*)\]\.?", lambda match: f"expected {match[1]};", text)
    text = re.sub(r"(?<=required: )\w+$", lambda name: METAVARS.get(name[0], f"--{name[0]}"), text)
    option = f"--{'.'.join(keys)}"
    if missing := keys and re.search(r"arguments are required: --(\w+)(?:$|; )", text):
        text = f"{option}.{missing[1]} is required"
    elif keys:
        text = f"{option}: {text}"
    # The message may contain a whole value of a file, with characters that control a terminal.
    text = make_printable(text)
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]} ..."


def drop_other_bases(reasons: list[str]) -> list[str]:
    """Return the reasons against a class without those about the bases that it does not have, if there are such.

    A class that is no subclass of one of the types in a union can be one of another. If there is no other reason, the
    class is of the wrong kind, and one reason is returned that names all bases.
    """
    pattern = re.compile(r"path(?: (\S+))? does not correspond to a subclass of (\w+)")
    bases = [match for reason in reasons if (match := pattern.search(reason))]
    others = [reason for reason in reasons if not re.search("does not correspond|^Expected a", reason)]
    if bases and not others:
        names = dict.fromkeys(base[2] for base in bases)
        return [f"{bases[0][1] or 'the class'} is not a subclass of {' or '.join(names)}"]
    return others if bases else []


def list_choices(key: str) -> list[str]:
    """Return the networks for the option "model", the datasets for "data", and an empty list for any other."""
    return sorted(cls.__name__ for cls in list_classes(key))


def describe_choices(key: str) -> str:
    """Return the help of the option "model" or "data", with the classes of this package."""
    names = [name for name in list_choices(key) if name in classifier.__all__]
    return f"One of {', '.join(names)}, or a class of your own, such as my_module.Name."


def list_classes(key: str) -> list[type]:
    """Return the classes of all networks or datasets that are imported; see `list_choices`."""
    if key not in BASES:
        return []
    base = pydoc.locate(BASES[key])
    return [cls for cls in list_subclasses(base) if not inspect.isabstract(cls)]  # type: ignore[arg-type]


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


def put_configs_first(argv: list[str], replace: Callable[[str], str] = str) -> list[str]:
    """Return command-line arguments with all configuration files before the other options, which thus override them.

    Args:
        argv: Command-line arguments after the command's name.
        replace: Function that returns what the value of every `--config` is replaced by.
    """
    files, others = [], []
    arguments = iter(argv)
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option not in ("-c", "--config"):
            others.append(argument)
        elif equals or (value := next(arguments, "")):
            files.append(f"--config={replace(value)}")
        else:
            others.append(argument)  # without a value, which the parser reports
    return [*files, *others]


def dump_yaml(data: Any) -> str:
    """Return YAML that standard output can encode; a text with other characters is quoted, with escapes for these."""
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return yaml.safe_dump(data, sort_keys=False)
    return text


set_dumper("yaml", dump_yaml)


class OneLineErrorParser(ArgumentParser):
    """A parser that raises a SettingError with a one-line message for every error in a command line."""

    def parse_args(self, *args: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        """Return the parsed options, from the command line and from files.

        Raises:
            SettingError: A nested file cannot be read.
        """
        try:
            return super().parse_args(*args, **kwargs)
        except (UnicodeDecodeError, RecursionError) as error:
            raise SettingError(f"a configuration file cannot be read: {one_line(error)}") from error

    def format_help(self, *args: Any) -> str:
        """Return the help in plain text."""
        return tidy_texts(super().format_help(*args))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise a SettingError with the reason and, for an unknown option or value, what was probably meant."""
        text = shorten_message(message)
        if unknown := re.match(r"unrecognized arguments: (--?)?(\S+)", message):
            suggest = suggest_option if unknown[1] else suggest_for_argument
            suggestion = describe_suggestion(suggest(unknown[2].partition("=")[0], self.list_options()))
            text += suggestion or f"; {self.prog} --help lists the options"
        elif refused := re.match(r"--(model|data): Option '([\w.-]+)' is not accepted", text):
            text = self.describe_refused_option(*refused.groups())
        elif scalar := re.match(r"--(\w+): (\w+): Expected a (?:tuple|list)\. Got value: ([-\w.]+)$", text):
            text = "--{0}.{1}: expected a list, such as [{2}]; got {2}".format(*scalar.groups())
        elif unknown := re.match(r"(model|data)\.help: Expected a dot import path string: (\S+)", text):
            meant = suggest_class(unknown[2], list_choices(unknown[1]))
            text = f"--{unknown[1]}.help: {unknown[2]} is none of {', '.join(list_choices(unknown[1]))}"
            text += describe_suggestion(meant and f"--{unknown[1]}.help {meant.split()[0]}")
        elif typo := re.match(r"--trainer\.(\w+): .*Expected a dot import path string: (\w+)", text):
            text = f"--trainer.{typo[1]}: there is no class {typo[2]}"
            meant = suggest_part(typo[2])
            text += describe_suggestion(meant and f"--trainer.{typo[1]} {meant}")
        elif wrong := re.match(r"--(model|data): (\S+) is none of (.*)", text):
            meant = suggest_class(wrong[2], wrong[3].split(", "))
            text += describe_suggestion(meant and f"--{wrong[1]} {meant}")
        raise SettingError(text)

    def list_options(self) -> list[str]:
        """Return the names of all options, with those of every network and dataset."""
        options = [name for name, _ in self.get_defaults().items() if name not in NOT_SUGGESTED]
        return [*options, *(f"{key}.{name}" for key in BASES if key in options for name in list_arguments(key))]

    def describe_refused_option(self, key: str, name: str) -> str:
        """Return why a network or a dataset does not have an option.

        Args:
            key: "model" or "data".
            name: Name of the option.
        """
        option, owners = f"{key}.{name}", list_arguments(key).get(name)
        if owners:
            return f"--{option} is an option of {' and '.join(owners)} only; --{key}.help NAME lists those of NAME"
        suggestion = describe_suggestion(suggest_option(option, self.list_options()))
        return f"--{option} does not exist{suggestion or f'; --{key}.help NAME lists the options of NAME'}"


def list_arguments(key: str) -> dict[str, list[str]]:
    """Return the arguments of all networks for the option "model", or of all datasets for "data".

    Returns:
        The names of the classes that have an argument, by the name of the argument.
    """
    owners: dict[str, list[str]] = {}
    for cls in sorted(list_classes(key), key=lambda cls: cls.__name__):
        for name in inspect.signature(cls).parameters:
            owners.setdefault(name, []).append(cls.__name__)
    return {name: classes for name, classes in owners.items() if name not in NOT_SUGGESTED}
