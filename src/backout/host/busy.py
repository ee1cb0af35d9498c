"""Which live processes hold files open for writing."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator


def writers(inodes: Container[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], int, str]]:
    """Give ((device, inode), process id, process name) for every descriptor open for writing on one of the inodes.

    Read from /proc/PID/fd; processes of other users are invisible to an ordinary user.
    """
    for pid in os.listdir("/proc"):
        if not pid.isdigit() or int(pid) == os.getpid():
            continue
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for descriptor in descriptors:
            found = _inode(f"/proc/{pid}/fd/{descriptor}")
            if found is not None and found in inodes and _writable(pid, descriptor):
                yield found, int(pid), _name(pid)


def _inode(link: str) -> tuple[int, int] | None:
    try:
        status = os.stat(link)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _writable(pid: str, descriptor: str) -> bool:
    try:
        with open(f"/proc/{pid}/fdinfo/{descriptor}", encoding="ascii") as file:
            flags = next(line for line in file if line.startswith("flags:"))
    except (OSError, StopIteration):
        return False
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY


def _name(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"
