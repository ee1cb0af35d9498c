"""Random programs of edits: what a step can be, as values to draw from, and what runs a program below a folder.

What is not in the vocabulary: sockets, which end with their process and are never carried over; a 0/0 character device,
which is overlayfs' own mark for a removal (overlayfs.rst, "whiteouts").
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from backout.host import libc

Step = tuple[str, str, Any]

NAMES = st.sampled_from(
    ["a", "b", "c", "c/d", "c/e", "c/f", "c/f/g", "c/f/g/j/k", "h", "h/i", "a\n\udcff", "h/" + "n" * 255]
)
MODES = st.sampled_from([0o600, 0o755, 0o4711, 0o6755, 0o2750, 0o2777, 0o1777, 0o000])
SET_TIMES_NS = (1_234_567_890_123_456_789, 1_600_000_000_000_000_000)
"""What `utime` sets: times that no clock gives, so that one that was meant is told from one that just happened."""
_DEVICES = st.sampled_from([(stat.S_IFCHR, 1, 3), (stat.S_IFCHR, 4095, 70_000), (stat.S_IFBLK, 4095, 200)])
_ATTRIBUTES = st.sampled_from(["user.x", "trusted.x", "security.x", "user.overlay.x"])
_CONTENTS = st.one_of(st.just(b"same"), st.binary(max_size=8))
_HOLES = st.sampled_from([1 << 17, 1 << 21])


def _access_list(reads: int) -> bytes:
    """Give a POSIX access list that names a user, as linux/posix_acl_xattr.h lays it out."""
    nobody = 0xFFFFFFFF
    entries = [(1, 6, nobody), (2, reads, 1), (4, 4, nobody), (16, 7, nobody), (32, 0, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def _capability(number: int) -> bytes:
    """Give a file capability of revision 2, as linux/capability.h lays it out."""
    return struct.pack("<IIIII", 0x02000001, 1 << number, 0, 0, 0)


CREATING = st.one_of(
    st.tuples(st.just("write"), NAMES, _CONTENTS),
    st.tuples(st.just("hole"), NAMES, _HOLES),
    st.tuples(st.just("nameless"), NAMES, _CONTENTS),
    st.tuples(st.just("link"), NAMES, NAMES),
    st.tuples(st.just("symlink"), NAMES, NAMES),
    st.tuples(st.just("mkdir"), NAMES, st.none()),
    st.tuples(st.just("fifo"), NAMES, st.none()),
    st.tuples(st.just("device"), NAMES, _DEVICES),
    st.tuples(st.just("copy"), NAMES, NAMES),
)
CHANGING = st.one_of(
    st.tuples(st.just("append"), NAMES, st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("map"), NAMES, st.binary(min_size=1, max_size=4)),
    st.tuples(st.just("truncate"), NAMES, st.integers(0, 9000)),
    st.tuples(st.just("punch"), NAMES, _HOLES),
    st.tuples(st.just("utime"), NAMES, st.sampled_from(SET_TIMES_NS)),
    st.tuples(st.just("chmod"), NAMES, MODES),
    st.tuples(st.just("chown"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("attribute"), NAMES, st.tuples(_ATTRIBUTES, st.binary(max_size=4))),
    st.tuples(st.just("without attribute"), NAMES, _ATTRIBUTES),
    st.tuples(
        st.just("attribute"), NAMES, st.tuples(st.just("system.posix_acl_access"), st.integers(4, 7).map(_access_list))
    ),
    st.tuples(
        st.just("attribute"), NAMES, st.tuples(st.just("system.posix_acl_default"), st.integers(4, 7).map(_access_list))
    ),
    st.tuples(
        st.just("attribute"), NAMES, st.tuples(st.just("security.capability"), st.integers(10, 13).map(_capability))
    ),
)
MOVING = st.one_of(
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("exchange"), NAMES, NAMES),
    st.tuples(st.just("replace"), NAMES, _CONTENTS),
    st.tuples(st.just("unlink"), NAMES, st.none()),
    st.tuples(st.just("rmtree"), NAMES, st.none()),
)
TREES = st.lists(st.one_of(CREATING, CREATING, CHANGING), min_size=1, max_size=12)
PROGRAMS = st.lists(st.one_of(CREATING, CHANGING, MOVING), min_size=1, max_size=10)


def run(program: list[Step], root: Path) -> list[int]:
    """Run a program of edits below a folder; gives each step's errno (a copy's exit code), 0 when it worked."""
    return [_answer(os.fsencode(root), step) for step in program]


def _answer(root: bytes, step: Step) -> int:
    verb, name, other = step
    try:
        path = _new(root, name) if verb in _NEEDS_NOTHING else _there(root, name)
        return _VERBS[verb](path, _new(root, other) if verb in _TWO_NAMES else other) or 0
    except OSError as error:
        return error.errno or -1


def _new(root: bytes, name: str) -> bytes:
    """Name a path, and make the folders above it, so that few steps come to nothing."""
    path = os.path.join(root, os.fsencode(name))
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _there(root: bytes, name: str) -> bytes:
    """Name the first path that is there, from this name on, in their order; after the last comes the first."""
    wanted = os.path.join(root, os.fsencode(name))
    found = sorted(os.path.join(folder, name) for folder, folders, files in os.walk(root) for name in folders + files)
    return next((path for path in found if path >= wanted), found[0] if found else wanted)


def _put(path: bytes, content: bytes, how: int, offset: int = 0) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | how, 0o644)  # a FIFO must not wait
    try:
        _must_be_file(descriptor)
        os.lseek(descriptor, offset, os.SEEK_SET)
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _must_be_file(descriptor: int) -> None:
    """Keep out of devices: what is written to them goes nowhere that could be compared."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "not a file")


def _map(path: bytes, content: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        _must_be_file(descriptor)
        if os.fstat(descriptor).st_size >= len(content):
            with mmap.mmap(descriptor, len(content)) as mapped:
                mapped[:] = content
    finally:
        os.close(descriptor)


def _punch(path: bytes, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        _must_be_file(descriptor)
        how = 3  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
        libc.call("fallocate", descriptor, how, ctypes.c_long(0), ctypes.c_long(size))
    finally:
        os.close(descriptor)


def _nameless(path: bytes, content: bytes) -> None:
    descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY, 0o640)
    try:
        os.write(descriptor, content)
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)  # any: without one, link() would not follow
    finally:
        os.close(descriptor)


def _copy(path: bytes, other: bytes) -> int:
    if other.startswith(path + b"/"):
        raise OSError(errno.EINVAL, "into itself")  # how far that comes depends on the order of the names on disk
    return subprocess.run(
        ["cp", "-aT", "--remove-destination", path, other], stderr=subprocess.DEVNULL, check=False
    ).returncode


def _exchange(path: bytes, other: bytes) -> None:
    libc.renameat2(path, other, libc.RENAME_EXCHANGE)


def _replace(path: bytes, content: bytes) -> None:
    """Save as most editors do: a new file, moved over the old one."""
    _put(path + b"~", content, os.O_CREAT | os.O_EXCL)
    os.rename(path + b"~", path)


def _rmtree(path: bytes, _: None) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW))  # rmtree would wait for a FIFO's writer
    shutil.rmtree(path)


_NEEDS_NOTHING = ("write", "append", "hole", "nameless", "symlink", "mkdir", "fifo", "device")
_TWO_NAMES = ("link", "rename", "exchange", "copy")


_VERBS: dict[str, Callable[[bytes, Any], int | None]] = {
    "write": lambda path, content: _put(path, content, os.O_CREAT | os.O_TRUNC),
    "append": lambda path, content: _put(path, content, os.O_CREAT | os.O_APPEND),
    "hole": lambda path, size: _put(path, b"beyond", os.O_CREAT, size),
    "map": _map,
    "punch": _punch,
    "truncate": os.truncate,
    "nameless": _nameless,
    "replace": _replace,
    "link": lambda path, other: os.link(path, other, follow_symlinks=False),
    "symlink": lambda path, target: os.symlink(target, path),
    "mkdir": lambda path, _: os.mkdir(path),
    "fifo": lambda path, _: os.mkfifo(path),
    "device": lambda path, kind: os.mknod(path, 0o640 | kind[0], os.makedev(*kind[1:])),
    "copy": _copy,
    "rename": os.rename,
    "exchange": _exchange,
    "unlink": lambda path, _: os.unlink(path),
    "rmtree": _rmtree,
    "chmod": os.chmod,
    "chown": lambda path, owner: os.chown(path, owner, owner, follow_symlinks=False),
    "utime": lambda path, time_ns: os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False),
    "attribute": lambda path, pair: os.setxattr(path, *pair, follow_symlinks=False),
    "without attribute": lambda path, key: os.removexattr(path, key, follow_symlinks=False),
}
