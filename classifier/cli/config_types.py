"""Check the types in a parsed configuration before anything is built from it, so that a file never runs code.

A configuration holds plain values, and classes where a parameter expects an instance of one of their base classes.
"""

import collections.abc
import datetime
import enum
import inspect
import pathlib
import sys
import typing
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import lightning as L
import torch
from jsonargparse import Namespace

from classifier.data.base import ImageDataModule
from classifier.errors import SettingError, require
from classifier.models.base import ImageClassifier

PLAIN = (type(None), bool, int, float, str, pathlib.PurePath, enum.Enum, datetime.timedelta, torch.dtype)
MAX_INTEGER = 2**63


def check_types(config: Namespace) -> None:
    """Check that the settings of network, data and Trainer name only classes of a suitable kind, and no function.

    Args:
        config: The parsed configuration of `fit`, `validate` or `test`.

    Raises:
        SettingError: A value is a function, a class of another kind or any other object. The message names the option.
    """
    settings = config.clone(with_meta=False).as_dict()
    check_value("--model", settings.get("model"), ImageClassifier)
    check_value("--data", settings.get("data"), ImageDataModule)
    check_arguments("--trainer", L.Trainer, settings["trainer"])


def check_arguments(option: str, cls: type, arguments: dict[str, Any]) -> None:
    """Check the values for the arguments of a class's constructor.

    Args:
        option: The option that the arguments belong to, for the error message.
        cls: The class.
        arguments: The values, by name.

    Raises:
        SettingError: See `check_types`.
    """
    require(isinstance(arguments, dict), f"{option}: expected a table of settings")
    for name, value in arguments.items():
        annotation, default = find_parameter(cls, name)
        if not is_default(value, default):
            check_value(f"{option}.{name}", value, annotation)


def check_value(option: str, value: Any, annotation: Any) -> None:
    """Check a value, and the values in it.

    Args:
        option: The option of the value, for the error message.
        value: The value. A table with "class_path" describes an instance of a class.
        annotation: The annotation of its parameter, or None if it is not known.

    Raises:
        SettingError: See `check_types`.
    """
    if value is not None and is_callable(annotation):
        raise SettingError(
            f"{option} takes a function, which an option or a file cannot give: write a subclass that sets it, and "
            "allow its package with --allow_import"
        )
    if isinstance(value, dict) and "class_path" in value:
        check_class(option, value, annotation)
    elif isinstance(value, dict):
        for key, item in value.items():
            require(isinstance(key, str | int), f"{option}: the key {key} is neither a text nor an integer")
            check_value(f"{option}.{key}", item, annotation)
    elif isinstance(value, list | tuple | set | frozenset | collections.deque):
        for item in value:
            check_value(option, item, annotation)
    elif isinstance(value, int) and abs(value) >= MAX_INTEGER:
        raise SettingError(f"{option}: an integer of more than 64 bits")
    elif isinstance(value, str) and "\0" in value:
        raise SettingError(f"{option}: the text contains a null character")
    elif not isinstance(value, PLAIN):
        raise SettingError(f"{option}: {describe(value)} is {explain(annotation)}")


def check_class(option: str, spec: dict[str, Any], annotation: Any) -> None:
    """Check that a class is a subclass of one that its place expects, and check its arguments.

    Args:
        option: The option, for the error message.
        spec: "class_path" and, optionally, "init_args" and "dict_kwargs".
        annotation: The annotation of the parameter, or None if it is not known.

    Raises:
        SettingError: See `check_types`.
    """
    path, bases = spec["class_path"], set(list_bases(annotation))
    cls = find_imported(path) if isinstance(path, str) else None
    # Not issubclass, which a protocol can answer for a class that is not derived from it.
    if not (isinstance(cls, type) and bases & set(cls.__mro__)):
        raise SettingError(f"{option}: {path} is {explain(annotation)}")
    parameters = inspect.signature(cls).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in spec.get("dict_kwargs") or {}:  # which the parser has not checked
        is_taken = name in parameters or (takes_any and name not in ("class_path", "init_args"))
        require(is_taken, f"{option}: {cls.__name__} does not take {name}")
    for key in ("init_args", "dict_kwargs"):
        check_arguments(option, cls, spec.get(key) or {})


def explain(annotation: Any) -> str:
    """Return what a value has to be, for an error message, after "... is "."""
    names = sorted(base.__name__ for base in set(list_bases(annotation)))
    if not names:
        return "neither a number nor a text nor a list of these"
    return f"no class derived from {' or '.join(names)}; functions and other objects are not accepted"


def describe(value: Any) -> str:
    """Return the import path of a function or a class, or the type of any other value."""
    if inspect.isroutine(value) or inspect.isclass(value):
        return f"{value.__module__}.{value.__qualname__}"
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"


def find_parameter(cls: type, name: str) -> tuple[Any, Any]:
    """Return annotation and default of a parameter of a class's constructor, or of those that it passes `**kwargs` to.

    Args:
        cls: The class.
        name: Name of the parameter.

    Returns:
        The annotation, or None if there is none or it cannot be evaluated, and the default, or None.
    """
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        function = inspect.unwrap(vars(base)["__init__"])
        parameter = inspect.signature(function).parameters.get(name)
        if parameter is None or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.annotation is parameter.empty:
            return None, parameter.default
        holder = SimpleNamespace(__annotations__={name: parameter.annotation})
        try:
            annotation = typing.get_type_hints(holder, globalns=getattr(function, "__globals__", {}))[name]
        except (NameError, AttributeError, TypeError):  # a name that is imported for type checkers only
            return None, parameter.default
        return annotation, parameter.default
    return None, None


def is_default(value: Any, default: Any) -> bool:
    """Return whether a value is the default of its parameter, or the import path of a function that is the default."""
    if value is default:
        return True
    return isinstance(value, str) and inspect.isroutine(default) and find_imported(value) is default


def list_bases(annotation: Any) -> Iterator[type]:
    """Yield the classes that instances may be built of for a parameter, those in a union or a list included."""
    origin = typing.get_origin(annotation)
    if origin in (collections.abc.Callable, type, typing.Literal):
        return
    if origin is None and isinstance(annotation, type) and annotation.__module__ not in ("builtins", "typing"):
        yield annotation
    for part in typing.get_args(annotation):
        yield from list_bases(part)


def is_callable(annotation: Any) -> bool:
    """Return whether a parameter takes a function and nothing else."""
    if annotation is collections.abc.Callable or typing.get_origin(annotation) is collections.abc.Callable:
        return True
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    return typing.get_origin(annotation) not in (None, typing.Literal) and bool(parts) and all(map(is_callable, parts))


def find_imported(path: str) -> Any:
    """Return the object with an import path if the parser has imported it; nothing is imported here."""
    module = path
    attributes: list[str] = []
    while module and module not in sys.modules:
        module, _, name = module.rpartition(".")
        attributes.insert(0, name)
    found = sys.modules.get(module)
    for name in attributes:
        found = getattr(found, name, None)
    return found
