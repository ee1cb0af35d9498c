"""Who sends: a lock on a file beside the journal. The kernel lets go of it when the process dies (flock(2))."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backout.store.faults import explained

_LOOKS_EVERY_S = 0.05


@contextmanager
def sending(journal: Path, wait_s: float) -> Iterator[bool]:
    """Hold the lock, waited for so long at most; gives whether it is held."""
    with explained(journal):
        handle = os.open(_file(journal), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + wait_s
        while not (held := _take(handle, fcntl.LOCK_EX)) and time.monotonic() < until:
            time.sleep(_LOOKS_EVERY_S)
        yield held
    finally:
        os.close(handle)


def is_sending(journal: Path) -> bool:
    """Tell whether somebody holds the lock; where the file cannot be opened, nobody can."""
    with suppress(OSError):
        handle = os.open(_file(journal), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return not _take(handle, fcntl.LOCK_SH)
        finally:
            os.close(handle)
    return False


def _file(journal: Path) -> Path:
    return journal.with_name("sending.lock")


def _take(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
