"""An exact picture of a tree, to compare: independent of the product's own reading of states."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_READABLE_BYTES = 200


def walk(root: Path) -> Iterator[tuple[bytes, bytes]]:
    """Give every path below `root`, itself included, and a path by which to reach it now, however deep it lies."""
    for folder, folders, files, descriptor in os.fwalk(os.fsencode(root)):
        inside = os.path.relpath(folder, os.fsencode(root))
        here = b"/proc/self/fd/%d/" % descriptor
        if inside == b".":
            yield b".", here + b"."
        for name in folders + files:
            yield os.path.normpath(os.path.join(inside, name)), here + name


def picture(root: Path, *, times: bool = True) -> dict[bytes, dict[str, Any]]:
    """Describe every path below `root`, itself included, on every attribute that must come back.

    Hard-link groups are shown as the sorted names that share an inode.
    """
    groups: dict[int, list[bytes]] = {}
    shown: dict[bytes, dict[str, Any]] = {}
    for path, reached in walk(root):
        status = os.lstat(reached)
        if not stat.S_ISDIR(status.st_mode):
            groups.setdefault(status.st_ino, []).append(path)
        shown[path] = _one(reached, status, times=times)
    for names in groups.values():
        for name in names:
            shown[name]["links"] = sorted(names)
    return dict(sorted(shown.items()))


def _one(full: bytes, status: os.stat_result, *, times: bool) -> dict[str, Any]:
    names = os.listxattr(full, follow_symlinks=False)
    one: dict[str, Any] = {
        "mode": oct(status.st_mode),
        "owner": (status.st_uid, status.st_gid),
        "xattrs": {name: os.getxattr(full, name, follow_symlinks=False) for name in sorted(names)},
    }
    if stat.S_ISREG(status.st_mode):
        with open(full, "rb", buffering=0) as file:
            one["content"] = _readable(file.readall())
            one["size"] = status.st_size
            one["sparse"] = status.st_size > 0 and os.lseek(file.fileno(), 0, os.SEEK_HOLE) < status.st_size
    elif stat.S_ISLNK(status.st_mode):
        one["target"] = os.readlink(full)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        one["device"] = status.st_rdev
    if times:
        one["mtime"] = status.st_mtime_ns
    return one


def _readable(content: bytes) -> bytes | str:
    """Give what can be read when a test fails: of much, the length and the hash."""
    if len(content) <= _READABLE_BYTES:
        return content
    return f"{len(content)} bytes, {hashlib.sha256(content).hexdigest()}"


def difference(one: dict[bytes, Any], other: dict[bytes, Any]) -> dict[bytes, tuple[Any, Any]]:
    """Give what differs, path by path: small enough to read when a test fails."""
    return {
        path: (one.get(path), other.get(path)) for path in sorted({*one, *other}) if one.get(path) != other.get(path)
    }
