"""Errors that a user can fix. The command line prints only their message; in Python, they are ValueErrors."""

import os
import shlex


class UserError(ValueError):
    """An error that the user can fix, for example a missing or damaged file, folder, checkpoint or dataset."""

    exit_status = 1


class SettingError(UserError):
    """An option or an argument is invalid."""

    exit_status = 2


class DivergenceError(UserError):
    """The loss of a network is no longer finite."""


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


def quote_path(path: str | os.PathLike[str]) -> str:
    """Return a path relative to the current folder as one word for a shell.

    A path with characters that cannot be printed is written as $'...', which Bash and Zsh read, with an escape for each
    of their bytes.
    """
    text = os.path.relpath(path)
    if text.startswith("-"):
        text = os.path.join(os.curdir, text)  # noqa: PTH118 a Path drops the "./", which keeps it from being an option
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_escape, text))}'"


def _escape(character: str) -> str:
    """Return a character as it is written within $'...' in a shell."""
    if character.isprintable():
        return f"\\{character}" if character in "\\'" else character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))


def first_line(error: object) -> str:
    """Return the first line of the message of an error that is not blank, or the name of its type."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
