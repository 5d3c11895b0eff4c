"""Which errors are printed as one line: those that the user can fix."""

import re
import traceback

from classifier.errors import SettingError, UserError, first_line, one_line

LIBRARIES = re.compile(r"[\\/](site|dist)-packages[\\/]")
JSONARGPARSE = re.compile(r"[\\/]jsonargparse[\\/]")
LIGHTNING = re.compile(r"[\\/]lightning[\\/](pytorch|fabric)[\\/]")


def find_user_error(error: BaseException) -> UserError | None:
    """Return the first UserError in an error's chain of causes, or None if there is none.

    An OSError and an error for lack of memory are converted to a UserError. An error that Lightning has raised on
    purpose is converted to a SettingError.
    """
    if isinstance(error, OSError):
        return UserError(error)  # for example a full disk or a file that cannot be written: not our bug
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return cause
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if converted := next(filter(None, map(convert_error, causes)), None):
        return converted
    if is_raised_in(error, JSONARGPARSE) and (isinstance(causes[-1], OSError) or is_raised_in(causes[-1], LIBRARIES)):
        return SettingError(f"a part of the configuration cannot be built: {one_line(causes[-1])[:500]}")
    return None


def is_raised_in(error: BaseException, files: re.Pattern[str]) -> bool:
    """Return whether the function that raised an error is in a file whose path matches a pattern."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and files.search(frames[-1].filename) is not None


def convert_error(error: BaseException) -> UserError | None:
    """Return the UserError that describes an error of a library, or None if the user cannot fix it."""
    if is_lack_of_memory(error):
        reason = first_line(error).rpartition(": ")[2]
        return UserError(f"not enough memory ({reason}): use a smaller network, smaller images or a smaller batch_size")
    if is_raised_by_lightning(error):
        return SettingError(error)
    return None


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether Python, NumPy or PyTorch raised an error because memory cannot be allocated."""
    # PyTorch's OutOfMemoryError, a RuntimeError, is for GPUs only; on a CPU, the message is all there is.
    in_pytorch = re.search("out of memory|not enough memory|can't allocate memory", str(error))
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and in_pytorch is not None)


def is_raised_by_lightning(error: BaseException) -> bool:
    """Return whether an error comes from a `raise` statement in Lightning, with which it rejects settings."""
    if type(error).__name__ == "MisconfigurationException":  # a comparison by type would import Lightning
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return (
        isinstance(error, (ImportError, RuntimeError, TypeError, ValueError))
        and is_raised_in(error, LIGHTNING)
        and (frames[-1].line or "").startswith("raise ")
    )
