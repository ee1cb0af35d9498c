"""Signals that wait for a moment in which their handlers do no harm."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def held_back(numbers: Iterable[int]) -> Iterator[None]:
    """Let signals wait until the end of this; what their handlers raise is raised there, or at its very beginning."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fork() -> int:
    """Fork as `os.fork` does; a signal that comes meanwhile is handled right after, in the parent alone.

    What a hook at a fork raises Python only prints, `logging` has such hooks, and a handler of Ctrl-C runs in whatever
    is running: it would be lost there, and a lock with it.
    """
    with held_back(signal.valid_signals()):
        return os.fork()  # noqa: TID251 - the one place
