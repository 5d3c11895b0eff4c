"""Errors that a user can fix. The command line prints only their message; in Python, they are ValueErrors."""

import os


class UserError(ValueError):
    """An error that the user can fix, for example a missing or damaged file, folder, checkpoint or dataset."""

    exit_status = 1


class SettingError(UserError):
    """An option or an argument is invalid."""

    exit_status = 2


def require(condition: bool, message: str) -> None:
    """Raise a SettingError with `message` unless `condition` holds."""
    if not condition:
        raise SettingError(message)


def one_line(error: object) -> str:
    """Return the message of an error with every run of whitespace, including line breaks, replaced by one space."""
    return " ".join(str(error).split()) or type(error).__name__


def make_printable(text: str | os.PathLike[str]) -> str:
    """Return a text or a path for a one-line message, with "?" in place of every character that cannot be printed."""
    return "".join(character if character.isprintable() else "?" for character in os.fspath(text))


def first_line(error: object) -> str:
    """Return the first line of the message of an error that is not blank, or the name of its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
