"""Small durable acts on the state folder's files, and locks that processes hold."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterable

from backout.host.tree import Parents, open_file

_BUFFER_BYTES = 1 << 20


def sync_folder(path: bytes) -> None:
    """Make a directory's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_whole(path: bytes) -> bytes:
    """Read a file of the state folder; OSError for a link, a pipe or a folder that was put in its place."""
    parents = Parents()
    try:
        with open(open_file(parents.name(path)), "rb") as file:
            return file.read()
    finally:
        parents.close()


def write_durably(path: bytes, pieces: Iterable[bytes], mode: int = 0o600) -> None:
    """Write a file so that after a crash it is there whole, or not at all."""
    temporary = path + b".new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "wb", buffering=_BUFFER_BYTES) as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(descriptor)
    os.rename(temporary, path)
    sync_folder(os.path.dirname(path))


def make_private(path: bytes) -> None:
    """Make a folder, and those above it, readable by its owner alone; OSError where a link is: it leads elsewhere."""
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "a link where a folder of our own should be", path)
    if not os.path.isdir(path):
        make_parents(os.path.dirname(path))
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return
        sync_folder(os.path.dirname(path))


def make_parents(path: bytes) -> None:
    """Make missing folders on the way with the usual mode."""
    os.makedirs(path, mode=0o755, exist_ok=True)


def lock_holder(descriptor: int) -> int | None:
    """Name the process that holds a POSIX lock on an open file; None when nobody does (F_GETLK, read-only)."""
    layout = "hhqqi4x"
    asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, holder = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else holder


def is_held(path: bytes) -> bool:
    """Tell whether another open file of a living process holds a file or folder by flock(2)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
