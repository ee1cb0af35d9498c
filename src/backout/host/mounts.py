"""What is mounted on this host, as the kernel tells it: read, never asked of the file systems themselves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
NOATIME, NODIRATIME, RELATIME = 1 << 10, 1 << 11, 1 << 21
_FLAGS = {
    b"ro": RDONLY,
    b"nosuid": NOSUID,
    b"nodev": NODEV,
    b"noexec": NOEXEC,
    b"noatime": NOATIME,
    b"nodiratime": NODIRATIME,
    b"relatime": RELATIME,
}


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo (proc_pid_mountinfo(5)).

    `device` is `major:minor`, `source` what was mounted by its name; `root` is the path inside the file system that is
    to be seen at `point`.
    """

    id: int
    parent: int
    device: bytes
    root: bytes
    point: bytes
    options: frozenset[bytes]
    kind: bytes
    read_only_system: bool = False
    source: bytes = b"none"

    @property
    def flags(self) -> int:
        """Give the flags of mount(2) that this mount has."""
        return sum(bit for word, bit in _FLAGS.items() if word in self.options)

    @property
    def read_only(self) -> bool:
        """Tell whether nothing can be written here, by the mount or by the file system."""
        return self.read_only_system or b"ro" in self.options


def read() -> list[Mount]:
    """Read the calling process' mounts, in the kernel's order."""
    with open("/proc/self/mountinfo", "rb") as file:
        return parse(file.read())


def parse(content: bytes) -> list[Mount]:
    """Read mountinfo; names are unescaped."""
    return [_mount(line) for line in content.splitlines() if line]


def _mount(line: bytes) -> Mount:
    own, _, system = line.partition(b" - ")
    fields, kind = own.split(b" "), system.split(b" ")
    return Mount(
        id=int(fields[0]),
        parent=int(fields[1]),
        device=fields[2],
        root=_plain(fields[3]),
        point=_plain(fields[4]),
        options=frozenset(fields[5].split(b",")),
        kind=kind[0],
        read_only_system=b"ro" in kind[-1].split(b","),
        source=_plain(kind[1]),
    )


def _plain(name: bytes) -> bytes:
    if b"\\" not in name:  # of nearly all
        return name
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), name)


def is_below(path: bytes, folder: bytes) -> bool:
    """Tell whether a path lies strictly below a folder."""
    return path != folder and path.startswith(folder.rstrip(b"/") + b"/")


def is_within(path: bytes, folder: bytes) -> bool:
    """Tell whether a path is a folder or lies below it."""
    return path == folder or is_below(path, folder)


def visible(mounts: Sequence[Mount]) -> list[Mount]:
    """Give the mounts that paths lead to, outermost first: those that no later mount covers."""
    children: dict[int, list[Mount]] = {}
    ids = {mount.id for mount in mounts}
    for mount in mounts:
        children.setdefault(mount.parent, []).append(mount)
    hidden: set[int] = set()
    for mount in mounts:
        siblings = children.get(mount.parent, [])
        later = siblings[siblings.index(mount) + 1 :] if mount.parent in ids else []
        covered = any(is_within(mount.point, other.point) for other in later)
        if covered or any(child.point == mount.point for child in children.get(mount.id, [])):
            hidden.add(mount.id)
        if covered:
            hidden |= _below(mount, children)
    return sorted((mount for mount in mounts if mount.id not in hidden), key=lambda mount: mount.point)


def _below(mount: Mount, children: dict[int, list[Mount]]) -> set[int]:
    found: set[int] = set()
    left = [mount]
    while left:
        for child in children.get(left.pop().id, []):
            if child.id not in found:
                found.add(child.id)
                left.append(child)
    return found


def holding(mounts: Iterable[Mount], path: bytes) -> Mount | None:
    """Give the visible mount on which a path lies; None in a chroot without a mount of its own."""
    around = [mount for mount in mounts if is_within(path, mount.point)]
    return max(around, key=lambda mount: len(mount.point), default=None)


def inside(folder: bytes, path: bytes) -> bytes:
    """Give a path below a folder as its name in there: `/srv`, `/srv/a/b` is `a/b`, and `/srv` itself is empty."""
    return os.path.relpath(path, folder) if path != folder else b""
