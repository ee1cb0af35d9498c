"""What ends a command from outside: its time, how many processes it is, and what it leaves of the host's space.

The kernel's own bounds are not for root (RLIMIT_NPROC), or need a control group, which not every host lets one make
without asking its service manager. So somebody looks, about every 50 ms: at space and time the process that waits for
the command, at processes the view's first one. That has nothing else to do, so that it can be given its turn before all
others; and once it ends, the kernel lets no other be started in there (pid_namespaces(7)).
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import time
from collections.abc import Iterator, Sequence

from backout.errors import FailedError

TICK_S = 0.05
MOST_TASKS = 2048
"""Processes and threads together: more than package managers and compilers start, less than a host has numbers for."""
_LEAST_BYTES, _LEAST_FILES, _LEAST_PART = 256 << 20, 5000, 50
_REMOVED = "Nothing was changed; what the command had written is removed."


class Bounds:
    """The bounds of one command that are held by the process which waits for it."""

    def __init__(self, folders: Sequence[bytes], timeout_s: float | None = None) -> None:
        """Start the clock. A floor is 256 MiB or 2 %, or half of what is there, whatever is least (traps A6).

        Of memory it is 256 MiB, or a quarter of what programs can still have.
        """
        self._timeout_s = timeout_s
        self._until = None if timeout_s is None else time.monotonic() + timeout_s
        self._floors = dict(_floor(folder) for folder in folders)
        self._least_memory = min(_LEAST_BYTES, _memory() // 4)
        self._next = 0.0

    def check(self) -> None:
        """Raise FailedError when a bound is reached; looks at most every 50 ms, so that it may be called often."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + TICK_S
        if self._until is not None and now > self._until:
            raise FailedError(f"The command took longer than {self._timeout_s:g} s and was ended.", next="--timeout S")
        self.check_space()
        self._check_memory()

    def check_space(self) -> None:
        """Raise FailedError when a disk is below its floor: also once the command has ended, perhaps for that."""
        for folder, (bytes_left, files_left) in self._floors.items():
            now = os.statvfs(folder)
            what = "space" if now.f_bavail * now.f_frsize < bytes_left else "inodes"
            if what == "space" or now.f_favail < files_left:
                raise FailedError(
                    f"The command was ended: the file system of {os.fsdecode(folder)} is nearly out of {what}.",
                    state=_REMOVED,
                    next="Free some, then try again.",
                )

    def _check_memory(self) -> None:
        if _memory() < self._least_memory:
            raise FailedError(
                "The command was ended: this host is nearly out of memory.",
                state=_REMOVED,
                next="Free some, then try again.",
            )


class Tasks:
    """How many a command has become, looked at from inside its PID namespace."""

    def __init__(self) -> None:
        self._others = _all_tasks()

    def are_too_many(self) -> bool:
        """Tell whether there are more than `MOST_TASKS`; quickly while the host has few."""
        if _all_tasks() - self._others < MOST_TASKS // 2:
            return False
        found = 0
        with os.scandir("/proc") as entries:
            for entry in entries:
                if entry.name.isdigit():
                    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                        found += (
                            os.stat(entry.path + "/task").st_nlink - 2
                        )  # it has a link for each thread, and two more
                if found > MOST_TASKS:
                    return True
        return False


def too_many() -> FailedError:
    """Give the error for a command that became too many."""
    return FailedError(
        f"The command was ended: it had become more than {MOST_TASKS} processes and threads.",
        state=_REMOVED,
        next="Look what in the command starts ever more processes.",
    )


def be_the_first_to_go(*, rootless: bool) -> None:
    """Be what the kernel ends when memory is short, rather than a service of the host; without root, be not too many.

    All that is started from here on inherits it. RLIMIT_NPROC counts the processes of a user namespace (before Linux
    5.14, of the user), and leaves root alone.
    """
    with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(b"1000")
    if rootless:
        limits = [2 * MOST_TASKS if limit < 0 else limit for limit in resource.getrlimit(resource.RLIMIT_NPROC)]
        most = min(*limits, 2 * MOST_TASKS)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


@contextlib.contextmanager
def attentive() -> Iterator[None]:
    """Let this process run when it wants to, whatever else does; where that is not allowed, as without root, go on.

    A fork bomb leaves others no turn for seconds: 30,000 processes came to be before an ordinary one had looked twice.
    Whoever uses this must sleep but for its looks. Without root the kernel bounds a user's processes (RLIMIT_NPROC).
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield
        return
    yield
    os.sched_setscheduler(0, policy, parameters)


def read_to_the_end(descriptor: int, bounds: Bounds) -> bytes:
    """Read what a process in a view has to say, within bounds; the descriptor is closed."""
    collected = bytearray()
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    with open(descriptor, "rb", buffering=0) as file:
        while True:
            bounds.check()
            if waiting.poll(TICK_S * 1000):
                data = file.read(1 << 16)
                if not data:
                    return bytes(collected)
                collected += data


def _floor(folder: bytes) -> tuple[bytes, tuple[int, int]]:
    now = os.statvfs(folder)
    size, free = now.f_blocks * now.f_frsize, now.f_bavail * now.f_frsize
    least_files = min(_LEAST_FILES, now.f_files // _LEAST_PART, now.f_favail // 2)
    return folder, (min(_LEAST_BYTES, size // _LEAST_PART, free // 2), least_files)


def _memory() -> int:
    """Give the bytes that programs can still have, swap included (proc_meminfo(5))."""
    with open("/proc/meminfo", "rb") as file:
        rows = dict(line.split()[:2] for line in file)
    return (int(rows[b"MemAvailable:"]) + int(rows[b"SwapFree:"])) * 1024


def _all_tasks() -> int:
    """Tell how many processes and threads the whole host has: one read, however many there are (proc_loadavg(5))."""
    with open("/proc/loadavg", "rb") as file:
        return int(file.read().split()[3].partition(b"/")[2])
