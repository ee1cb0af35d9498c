"""Writing in place: where the inode must stay, because it has names that cannot be found without a scan (traps C5)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import signal
import stat as st
import time
from collections.abc import Iterator
from typing import BinaryIO

from backout.host.tree import Name, open_file, reached, xattrs
from backout.model.state import State

_CHUNK = 1 << 20
_LEASE_TRIES, _LEASE_PAUSE_S = 20, 0.001


def set_metadata(descriptor: int, want: State) -> None:
    """Set owner, mode and extended attributes of what is held, in the order that loses none of them (traps C7).

    Times are left alone.
    """
    status, path = os.fstat(descriptor), reached(descriptor)
    kept = (status.st_uid, status.st_gid) == (want.uid, want.gid)
    if not kept:  # without root, asking for what is there already may be forbidden, too
        os.chown(path, want.uid, want.gid)
    if not st.S_ISLNK(status.st_mode) and not (kept and st.S_IMODE(status.st_mode) == want.mode):
        os.chmod(path, want.mode)
    wanted, found = dict(want.xattrs), dict(xattrs(path))
    for key in found.keys() - wanted.keys():
        os.removexattr(path, key)
    for key, value in sorted(wanted.items(), key=lambda item: (item[0] == b"security.capability", item[0])):
        if found.get(key) != value:
            os.setxattr(path, key, value)


@contextlib.contextmanager
def alone(name: Name) -> Iterator[int]:
    """Open a file to read and write it in place; while it is open, whoever else opens it waits (fcntl(2), leases).

    So nobody's edit comes between a look at it and the write. Where somebody else holds it open, as a program does that
    runs from it, or the file system has no leases, it is open all the same.
    """
    descriptor = open_file(name, os.O_RDWR)
    try:
        _lease(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _lease(descriptor: int) -> None:
    for _ in range(_LEASE_TRIES):
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # whoever waits makes a signal; this one ends nobody
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except BlockingIOError:
            time.sleep(_LEASE_PAUSE_S)
        except OSError:
            return
        else:
            return


def write_in_place(writing: int, source: Name, want: State) -> None:
    """Make an open file's content that of `source`, and its metadata and time as wanted; durable when it returns."""
    reading = open_file(source)
    try:
        pour(reading, writing)
        set_metadata(writing, want)
        os.utime(writing, ns=(want.mtime_ns, want.mtime_ns))
        os.fsync(writing)
    finally:
        os.close(reading)


def copy_durably(reading: int, target: Name) -> None:
    """Copy an open file's content into the stage and make it durable; what was there is replaced."""
    writing = os.open(
        target.name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target.directory
    )
    try:
        pour(reading, writing)
        os.fsync(writing)
    finally:
        os.close(writing)


def begins(reading: int, whole: Name) -> bool:
    """Tell whether an open file holds no more than what `whole` begins with: nothing of it is lost while that is there.

    So does a half that `write_in_place` left, which writes from the beginning on.
    """
    if whole.lstat() is None:
        return False
    other = open_file(whole)
    os.lseek(reading, 0, os.SEEK_SET)
    with open(other, "rb", buffering=0) as against:
        part = os.read(reading, _CHUNK)
        while part:
            if _exactly(against, len(part)) != part:
                return False
            part = os.read(reading, _CHUNK)
    return True


def pour(reading: int, writing: int) -> None:
    """Copy all data, leave the holes that there are, and cut the rest off."""
    os.ftruncate(writing, 0)
    offset = _data_from(reading, 0)
    while offset is not None:
        chunk = os.pread(reading, min(_CHUNK, os.lseek(reading, offset, os.SEEK_HOLE) - offset), offset)
        end = offset + len(chunk)
        while offset < end:
            offset += os.pwrite(writing, chunk[offset - end :], offset)
        offset = _data_from(reading, offset)
    os.ftruncate(writing, os.fstat(reading).st_size)


def _data_from(descriptor: int, offset: int) -> int | None:
    """Tell where a file has data next; None when there is none from here on (lseek(2), SEEK_DATA)."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def append_suffix(path: Name, source: Name, before: State) -> bool:
    """Append to a growing log what `source` holds beyond its state before; False when `source` did not grow from that.

    What the log itself gained meanwhile stays: only our suffix is added, with O_APPEND (traps C6). Not to a file of
    another owner: where its folder is somebody's own, another file may have been given its name.
    """
    with open(open_file(source), "rb", buffering=0) as file:
        begins = hashlib.sha256(_exactly(file, before.size)).hexdigest() == before.sha256
        suffix = file.readall()
    if not begins or not suffix or path.lstat() is None:
        return False
    with open(open_file(path, os.O_WRONLY | os.O_APPEND), "ab", buffering=0) as file:
        status = os.fstat(file.fileno())
        is_ours = (status.st_uid, status.st_gid) == (before.uid, before.gid)
        if is_ours:
            file.write(suffix)
    return is_ours


def _exactly(file: BinaryIO, size: int) -> bytes:
    parts = []
    while size > 0:
        part = file.read(min(size, _CHUNK))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
