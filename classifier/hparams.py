"""Hyperparameters: plain values, limits, and constructor signatures that include the base class's arguments."""

import inspect
import math
import os
import re
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from classifier.class_paths import PACKAGE
from classifier.errors import require

# What a value must be, in words, and the test for it. NaN satisfies no comparison, and therefore no limit.
Limit = tuple[str, Callable[[Any], bool]]
POSITIVE: Limit = ("above 0", lambda value: value > 0)
NOT_NEGATIVE: Limit = ("at least 0", lambda value: value >= 0)
FRACTION: Limit = ("from 0 to below 1", lambda value: 0 <= value < 1)
UNIT_INTERVAL: Limit = ("from 0 to 1", lambda value: 0 <= value <= 1)
ALL_POSITIVE: Limit = ("above 0", lambda values: all(value > 0 for value in values))
IMAGE_SHAPE: Limit = (
    "(channels, height, width), each above 0, with a product of at most 10^8",
    lambda shape: len(shape) == 3 and all(size > 0 for size in shape) and math.prod(shape) <= 10**8,
)
# Of hyperparameters that a network takes from its data. 1e-30 is above 0 also in float32.
LIMITS_FROM_DATA: dict[str, Limit] = {
    "mean": ("finite numbers", lambda values: is_tuple_of(values, math.isfinite)),
    "std": ("above 0", lambda values: is_tuple_of(values, lambda value: 1e-30 < value < math.inf)),
    "class_names": ("names", lambda names: is_tuple_of(names, lambda name: isinstance(name, str))),
}


def is_tuple_of(values: Any, holds: Callable[[Any], bool]) -> bool:
    """Return whether `values` is None, or a tuple of values for which `holds` returns True."""
    return values is None or (isinstance(values, tuple) and all(map(holds, values)))


# pathlib would take an address such as s3://bucket for a relative path.
LOCAL_PATH: Limit = (
    "a local path",
    lambda path: "\0" not in str(path) and not re.match(r"[a-zA-Z][\w+.-]+://", str(path)),
)
LARGEST = 1e30  # larger numbers overflow in float32, in which networks compute


def within(low: float, high: float) -> Limit:
    """Return the limit of a number from `low` to `high`, both included."""
    return (f"from {low:,} to {high:,}", lambda value: low <= value <= high)


def to_builtin_types(value: Any) -> Any:
    """Convert hyperparameters to numbers, strings, tuples and dicts, which can be loaded without running code.

    Args:
        value: A hyperparameter, or a dict, list or tuple of hyperparameters. NumPy and PyTorch scalars become numbers,
            paths become strings, and lists become tuples.
    """
    if isinstance(value, dict):
        return {key: to_builtin_types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(to_builtin_types(item) for item in value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if hasattr(value, "item") else value


def merge_signatures(cls: type) -> inspect.Signature:
    """Return the signature of a constructor, with `**kwargs` replaced by the parameters of the base classes."""
    parameters: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        own = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]  # without self
        # Arguments that reach a base class through **kwargs are keywords.
        kind = inspect.Parameter.KEYWORD_ONLY if parameters else None
        for parameter in own:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                parameters.setdefault(parameter.name, parameter.replace(kind=kind or parameter.kind))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
            break
    return inspect.Signature(list(parameters.values()))


def list_package_arguments(cls: type) -> set[str]:
    """Return the names of the constructor arguments that this package defines for a class and its base classes."""
    bases = [base for base in cls.__mro__ if base.__module__.partition(".")[0] == PACKAGE and "__init__" in vars(base)]
    return {name for base in bases for name in inspect.signature(vars(base)["__init__"]).parameters}


def get_annotations(function: Callable) -> dict[str, Any]:
    """Return the type annotations of a function, or none if one is imported for type checkers only."""
    try:
        return typing.get_type_hints(function)
    except NameError:
        return {}


def check_limit(name: str, value: Any, limit: Limit) -> None:
    """Check that a value satisfies a limit. A value of the wrong type does not.

    Args:
        name: Name of the setting, for the error message.
        value: The value.
        limit: The valid range in words, and a function that returns whether a value is in it.

    Raises:
        SettingError: The value does not satisfy the limit.
    """
    description, holds = limit
    try:
        valid = holds(value)
    except (TypeError, OverflowError):  # for example a string, or an integer that no float can represent
        valid = False
    require(valid, f"{name} must be {description}, not {shorten(value)}")


def check_size(name: str, value: Any, largest: float) -> None:
    """Check that a number, or each number in a sequence, is finite and not above the largest valid one.

    Args:
        name: Name of the setting, for the error message.
        value: A number, a sequence, or any other value, which is not checked.
        largest: The largest valid number.

    Raises:
        SettingError: A number is too large, infinite or NaN.
    """
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, (int, float)):
            limit = (f"at most {largest:,}" if largest < LARGEST else "a finite number", lambda x: abs(x) <= largest)
            check_limit(name, number, limit)


def shorten(value: Any) -> str:
    """Return a value as text, at most 80 characters of it."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


class CheckedHyperparameters:
    """Mixin that checks a module's hyperparameters and shows all constructor arguments in `help` and completion.

    `limits` maps the name of a hyperparameter to a pair: the valid range in words, for the error message, and a
    function that returns whether a value is valid. `largest` maps the name of a number, or of a sequence of numbers, to
    the largest valid value; for other arguments of this package, it is 1e30, which excludes infinity. A subclass only
    defines the limits of its own arguments.
    """

    limits: ClassVar[dict[str, Limit]] = {}
    largest: ClassVar[dict[str, int]] = {}

    if TYPE_CHECKING:

        @property
        def hparams(self) -> Any:
            """The hyperparameters, by name as items or attributes; Lightning's mixin provides them."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set the signature of a subclass to the arguments of its constructor and of its base classes."""
        super().__init_subclass__(**kwargs)
        cls.__signature__ = merge_signatures(cls)  # type: ignore[attr-defined]

    def check_hparams(self) -> None:
        """Convert `self.hparams` to builtin types and check them against `limits` and `Literal` annotations.

        Raises:
            SettingError: A value is out of range or is not one of the choices.
        """
        hparams = self.hparams
        hparams.update(to_builtin_types(dict(hparams)))
        largest: dict[str, float] = {}
        for base in type(self).__mro__:
            largest = {**vars(base).get("largest", {}), **largest}
            for name, limit in vars(base).get("limits", {}).items():
                if name in hparams:
                    check_limit(name, hparams[name], limit)
            if "__init__" not in vars(base):
                continue
            for name, annotation in get_annotations(vars(base)["__init__"]).items():
                if typing.get_origin(annotation) is typing.Literal and name in hparams:
                    *most, last = map(str, typing.get_args(annotation))
                    choices = f"{', '.join(most)} or {last}"
                    valid = hparams[name] in typing.get_args(annotation)
                    require(valid, f"{name} must be {choices}, not {shorten(hparams[name])}")
        for name in hparams.keys() & {*largest, *list_package_arguments(type(self))}:
            check_size(name, hparams[name], largest.get(name, LARGEST))
