"""Forking without losing what interrupts."""

from __future__ import annotations

import os
import signal


def fork() -> int:
    """Fork as `os.fork` does; a signal that comes meanwhile is handled right after, in the parent alone.

    What a hook at a fork raises Python only prints, `logging` has such hooks, and a handler of Ctrl-C runs in whatever
    is running: it would be lost there, and a lock with it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        return os.fork()  # noqa: TID251 - the one place
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
