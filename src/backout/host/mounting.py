"""The system calls that mount: thin, each with the path in its error."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from backout.host import mounts
from backout.host.libc import AT_FDCWD, call

_REMOUNT, _BIND, _REC, _PRIVATE = 1 << 5, 1 << 12, 1 << 14, 1 << 18  # sys/mount.h
_DETACH = 2
_SYS_MOUNT_SETATTR = 442  # the same on every architecture
_ATTR_RDONLY, _AT_RECURSIVE = 1, 0x8000
_STRICT = b"metacopy=off,redirect_dir=on"
_USER_STRICT = b"metacopy=off,redirect_dir=nofollow,userxattr"
"""A user namespace may not keep redirects: renaming a directory of the host gives EXDEV there (overlayfs.rst)."""
_TRIES = (b"index=on,volatile", b"index=on", b"index=off,volatile", b"index=off")
_USER_TRIES = _TRIES[2:]
"""The index needs file handles, which a user namespace does not give: the kernel would say nothing and do without."""


def mount(source: bytes, target: bytes, kind: bytes | None, flags: int = 0, data: bytes | None = None) -> None:
    """Attach a file system, or change how one is attached."""
    call("mount", source, target, kind, ctypes.c_ulong(flags), data, path=target)


def make_private() -> None:
    """Keep every mount made from here on to this namespace."""
    mount(b"none", b"/", None, _REC | _PRIVATE)


def bind(source: bytes, target: bytes, flags: int = 0, *, recursive: bool = False) -> None:
    """Show a path at another place, with these mount flags."""
    mount(source, target, None, _BIND | (_REC if recursive else 0))
    if flags:
        set_flags(target, flags)


def set_flags(target: bytes, flags: int) -> None:
    """Give the mount at `target` these flags, and no others."""
    mount(b"none", target, None, _REMOUNT | _BIND | flags)


def make_read_only(target: bytes) -> None:
    """Make a mount and all below it read-only."""
    attributes = (ctypes.c_uint64 * 4)(_ATTR_RDONLY, 0, 0, 0)
    numbers = (ctypes.c_long(_SYS_MOUNT_SETATTR), ctypes.c_long(AT_FDCWD))
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    try:
        call("syscall", *numbers, target, ctypes.c_long(_AT_RECURSIVE), ctypes.byref(attributes), size, path=target)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        for below in mounts.read():  # before Linux 5.12
            if mounts.is_within(below.point, target):
                set_flags(below.point, below.flags | mounts.RDONLY)


def tmpfs(target: bytes, options: bytes, flags: int = mounts.NOSUID | mounts.NODEV) -> None:
    """Mount a fresh file system in memory."""
    mount(b"tmpfs", target, b"tmpfs", flags, options)


def pivot(root: bytes) -> None:
    """Make a mount the root directory, and let go of the old one (pivot_root(2), its last example)."""
    old = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(root)
        call("pivot_root", b".", b".", path=root)
        os.fchdir(old)
        call("umount2", b".", _DETACH, path=b"the old root")
    finally:
        os.close(old)
    os.chdir("/")


def open_path(path: bytes) -> int:
    """Take hold of a path without opening it (open(2), O_PATH)."""
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def held(descriptor: int) -> bytes:
    """Name what a descriptor holds; free of characters that overlayfs' options would need escaped."""
    return b"/proc/self/fd/%d" % descriptor


@contextmanager
def opened(paths: Sequence[bytes]) -> Iterator[list[int]]:
    """Hold paths for a while."""
    descriptors: list[int] = []
    try:
        for path in paths:
            descriptors.append(open_path(path))  # noqa: PERF401 - a failure must find those already open
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def overlay(
    target: bytes, lowers: Sequence[bytes], upper: bytes, work: bytes, flags: int, *, source: bytes, user: bool
) -> bool:
    """Mount an overlay; tell whether it keeps hard links together (`index`, traps A3).

    It is named as `source`, the device that the host has there: df, findmnt and those who gather facts read that name.
    Nothing is left to the kernel's defaults (A1, A2). `user` is for a user namespace: the overlay's own attributes lie
    in `user.` there. What the file system below cannot do is tried without: the index, and `volatile` (A6).
    """
    with opened([*lowers, upper, work]) as descriptors:
        names = [held(descriptor) for descriptor in descriptors]
        folders = b"lowerdir=" + b":".join(names[:-2]) + b",upperdir=" + names[-2] + b",workdir=" + names[-1]
        strict = _USER_STRICT if user else _STRICT
        tries = _USER_TRIES if user else _TRIES
        for choice in tries:
            try:
                mount(source, target, b"overlay", flags, folders + b"," + strict + b"," + choice)
            except OSError as error:
                if error.errno != errno.EINVAL or choice == tries[-1]:
                    raise
            else:
                return choice.startswith(b"index=on")
    return False


def seal(target: bytes, lower: bytes, empty: bytes, flags: int, *, user: bool) -> None:
    """Mount a tree read-only such that no socket or FIFO in it leads to a live process (traps A7)."""
    with opened([lower, empty]) as descriptors:
        names = b":".join(held(descriptor) for descriptor in descriptors)
        mount(b"overlay", target, b"overlay", flags, b"lowerdir=" + names + (b",userxattr" if user else b""))
