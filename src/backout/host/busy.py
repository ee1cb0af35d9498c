"""Which files of a plan live processes write or have locked: these are not switched under them (traps C6)."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Container, Iterator, Sequence

from backout.host.execute import Conflict
from backout.host.tree import Parents, below
from backout.model.step import Step, Switch, Write

Inode = tuple[int, int]
_LOCKS = ("FLOCK", "POSIX", "OFDLCK")
_SQLITE_LOGS = (b"-wal", b"-journal")
"""What SQLite keeps beside a database while it writes (sqlite.org/tempfiles.html)."""


def busy(steps: Sequence[Step]) -> list[Conflict]:
    """Find the files that live processes hold open for writing, or locked, also in folders that are switched whole.

    And databases that a process left without closing them: what it wrote last lies in a file beside. And the files by
    which a process says that it runs: a second one would not have begun beside it, as PostgreSQL does in a rehearsal.
    """
    replaced = [step for step in steps if isinstance(step, (Switch, Write)) and step.expect is not None]
    ours = {step.path for step in replaced}
    inodes: dict[Inode, bytes] = {}
    conflicts = []
    for step in replaced:
        for path, status in _files(step):
            inodes[status.st_dev, status.st_ino] = path
        conflicts += [_left(step.path, log) for log in _logs(step) if log not in ours and _holds_something(log)]
        conflicts += _named(step.path)
    for inode, pid, how in dict.fromkeys((*writers(inodes), *_locked(inodes)) if inodes else ()):
        conflicts.append(Conflict(inodes[inode], f"process {pid} ({_name(str(pid))}) {how}"))
    return conflicts


def _files(step: Switch | Write) -> Iterator[tuple[bytes, os.stat_result]]:
    """Give the live files that a step takes away."""
    if step.expect is None:
        return
    if step.expect.type == "file":
        parents = Parents()
        try:
            status = parents.name(step.path).lstat()
        except OSError:
            status = None  # it moved on, which the verification says
        finally:
            parents.close()
        if status is not None:
            yield step.path, status
    elif step.expect.type == "dir" and isinstance(step, Switch) and os.path.isdir(step.path):
        for path, name in below(step.path):
            status = name.lstat()
            if status is not None and st.S_ISREG(status.st_mode):
                yield path, status


def _logs(step: Switch | Write) -> list[bytes]:
    is_file = step.expect is not None and step.expect.type == "file"
    return [step.path + suffix for suffix in _SQLITE_LOGS] if is_file else []


def _holds_something(log: bytes) -> bool:
    """Tell whether a SQLite log is there and its first bytes are not zeros, as those of one that is done with are."""
    return any(_beginning(log)[:4])


def _beginning(path: bytes) -> bytes:
    """Read what a file begins with; nothing where there is none. What is a FIFO must not wait."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        return file.read(20) if st.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _left(path: bytes, log: bytes) -> Conflict:
    return Conflict(
        path, f"what was written to it last lies in {os.fsdecode(log)}, and would be taken for part of ours"
    )


def _named(path: bytes) -> Iterator[Conflict]:
    """Look into a file of a process id; give a conflict when that process lives."""
    pid = _beginning(path).partition(b"\n")[0].strip() if path.endswith(b".pid") else b""
    if pid.isdigit() and os.path.exists(b"/proc/" + pid):
        yield Conflict(path, f"process {pid.decode()} ({_name(pid.decode())}), which it names, still runs")


def writers(inodes: Container[Inode]) -> Iterator[tuple[Inode, int, str]]:
    """Give ((device, inode), process id, how) for every descriptor or mapping that can write to one of the inodes.

    Read from /proc/PID/fd and /proc/PID/maps; processes of other users are invisible to an ordinary user.
    """
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            for found in (*_opened(pid, inodes), *_mapped(pid)):
                if found in inodes:
                    yield found, int(pid), "has it open for writing"


def _locked(inodes: Container[Inode]) -> Iterator[tuple[Inode, int, str]]:
    """Give the same for locks, which need no more than a descriptor for reading (proc_locks(5))."""
    try:
        with open("/proc/locks", encoding="ascii") as file:
            rows = [line.split() for line in file if "->" not in line]
    except FileNotFoundError:
        return  # a kernel without locks
    for _, kind, _, _, pid, place, *_ in rows:
        major, minor, inode = place.split(":")
        found = os.makedev(int(major, 16), int(minor, 16)), int(inode)
        if found in inodes and kind in _LOCKS:
            yield found, int(pid), "holds a lock on it"


def _opened(pid: str, inodes: Container[Inode]) -> Iterator[Inode]:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        found = _inode(f"/proc/{pid}/fd/{descriptor}")
        if found is not None and found in inodes and _writable(pid, descriptor):
            yield found


def _mapped(pid: str) -> Iterator[Inode]:
    """Give what a process has mapped shared and writable: it needs no descriptor any more (proc_pid_maps(5))."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            lines = [line.split(None, 5) for line in file if b" rw-s " in line]
    except OSError:
        return
    for _, _, _, device, inode, *_ in lines:
        major, minor = device.split(b":")
        yield os.makedev(int(major, 16), int(minor, 16)), int(inode)


def _inode(link: str) -> Inode | None:
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
