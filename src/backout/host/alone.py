"""One process at a time, among all that ask for the same folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def alone_in(folder: os.PathLike[str] | str) -> Iterator[None]:
    """Let nobody else in here until the end of this; who was killed holds up nobody. The folder must be there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
