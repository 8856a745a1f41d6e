"""How a child process notices that its parent is gone: its standard input ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

__all__ = ["leave_with_parent", "told_to_stop"]

_STDIN = 0


def leave_with_parent(leave: Callable[[], None]) -> None:
    """Call `leave` once standard input ends, from a thread of its own.

    `serve` holds the other end of that pipe, which closes however `serve` ends. A process started
    by hand on a terminal has no such parent.
    """
    if os.isatty(_STDIN):
        return

    def wait() -> None:
        while os.read(_STDIN, 64):  # not sys.stdin, whose lock would be held at the end
            pass
        leave()

    threading.Thread(target=wait, name="parent", daemon=True).start()


def told_to_stop() -> threading.Event:
    """An event that SIGTERM, SIGINT and the end of the parent set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    leave_with_parent(stop.set)
    return stop
