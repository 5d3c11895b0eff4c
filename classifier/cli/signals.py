"""SIGINT and SIGTERM: the exceptions that they raise, and a way out where no exception can be raised."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

SECONDS_OF_DELAY = 0.5
SECONDS_TO_RESPOND = 3.0  # longer than one call into PyTorch takes
END = 0  # not the number of a signal


class Response:
    """The time at which a handler below has last run, in seconds of `time.monotonic`."""

    time = 0.0


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM, which clusters and containers send to stop a program.

    It is a KeyboardInterrupt, so that Lightning shuts down as after Ctrl-C.
    """


def raise_interrupted(*_: Any) -> NoReturn:
    """Signal handler that raises KeyboardInterrupt."""
    Response.time = time.monotonic()
    raise KeyboardInterrupt


def raise_terminated(*_: Any) -> NoReturn:
    """Signal handler that raises Terminated."""
    Response.time = time.monotonic()
    raise Terminated


HANDLERS: dict[int, Callable[..., NoReturn]] = {signal.SIGINT: raise_interrupted, signal.SIGTERM: raise_terminated}


@contextlib.contextmanager
def raise_on_signals() -> Iterator[None]:
    """While the context is open, raise an exception on SIGINT and SIGTERM. A signal that is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers
        return
    previous = {number: signal.getsignal(number) for number in HANDLERS}
    for number, handler in HANDLERS.items():
        if previous[number] != signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number in HANDLERS:
            signal.signal(number, previous[number])


@contextlib.contextmanager
def exit_if_blocked(before_exit: Callable[[], object]) -> Iterator[None]:
    """While the context is open, exit if the main thread does not respond to SIGINT or SIGTERM within 3 seconds.

    Python runs a signal handler only between two instructions of the main thread. While that thread waits for another
    process in PyTorch, which can take 30 minutes, a signal would therefore have no effect. Python's C code, however,
    writes the number of every signal to a file descriptor at once, and another thread reads it here.

    Args:
        before_exit: Called before the process exits, in that other thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    thread = threading.Thread(target=watch_signals, args=(reader, before_exit), daemon=True)
    thread.start()
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        os.write(writer, bytes([END]))
        thread.join()
        os.close(reader)
        os.close(writer)


def watch_signals(reader: int, before_exit: Callable[[], object]) -> None:
    """Read the numbers of signals from a file descriptor until END, and exit if the main thread does not respond."""
    while (number := os.read(reader, 1)[0]) != END:
        # A handler that other code has installed responds in its own way.
        if number in HANDLERS and signal.getsignal(number) is HANDLERS[number]:
            received = time.monotonic()
            # A handler runs once for several signals that arrive at the same time, and can be faster than this thread.
            while Response.time < received - SECONDS_OF_DELAY:
                if time.monotonic() > received + SECONDS_TO_RESPOND:
                    with contextlib.suppress(Exception):
                        before_exit()
                        sys.stdout.flush()
                    os._exit(128 + number)
                time.sleep(0.05)


def stop_reporting_signals() -> None:
    """Stop writing the numbers of signals to a file descriptor, which in a forked process belongs to its parent."""
    with contextlib.suppress(ValueError):  # not the main thread
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=stop_reporting_signals)
