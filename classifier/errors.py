"""Errors for the person at the keyboard: the command line prints their text alone, a notebook sees a ValueError."""


class UserError(ValueError):
    """Something outside the program is wrong: a file, a folder, a checkpoint or a data set."""

    exit_status = 1


class SettingError(UserError):
    """An option has a value that cannot work."""

    exit_status = 2


def require(condition: bool, message: str) -> None:
    """Raise a SettingError with `message` unless `condition` holds."""
    if not condition:
        raise SettingError(message)


def one_line(error: object) -> str:
    """Return the text of an error with all white space, line breaks included, reduced to single spaces."""
    return " ".join(str(error).split())
