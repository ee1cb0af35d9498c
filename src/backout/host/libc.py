"""The C library through ctypes: the system calls that Python does not offer.

Every failure is an OSError with a path.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any

AT_FDCWD = -100
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any, path: Any = None) -> int:
    """Call a C function that answers -1 and sets errno on failure; raise that as OSError naming `path`."""
    result: int = getattr(_libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def renameat2(source: bytes, target: bytes, flags: int, source_dir: int = AT_FDCWD, target_dir: int = AT_FDCWD) -> None:
    """Rename with RENAME_NOREPLACE or RENAME_EXCHANGE (rename(2)); both names relative to directory descriptors."""
    call("renameat2", source_dir, source, target_dir, target, ctypes.c_uint(flags), path=target)


def syncfs(descriptor: int, path: bytes) -> None:
    """Make everything written to the descriptor's file system durable (syncfs(2).

    Reports write-back errors since Linux 5.8).
    """
    call("syncfs", descriptor, path=path)
