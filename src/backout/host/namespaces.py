"""Starting the first process of a sandbox: namespaces of its own, tied to its parent's life.

parent -> keeper (makes the namespaces, waits) -> first process (PID 1 in there). The first process ends when its
channel to the parent does, and with it everything in its PID namespace (pid_namespaces(7)); its mounts go likewise.
It is the channel and not PR_SET_PDEATHSIG by which the parent's death is noticed: that signal comes already when the
*thread* that forked ends (traps A12). The keeper has one thread, so between it and the first process it serves.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Callable

from backout.errors import BackoutError, NotPossibleError
from backout.host.channel import Channel, pair
from backout.host.libc import call
from backout.host.signals import fork

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000  # sched.h
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NAME = 1, 4, 15

USER_NAMESPACES_NEXT = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0   (or run backout with sudo)"
"""Ubuntu 24.04 and newer forbid them to programs without an AppArmor profile."""


class Keeper:
    """The parent's side: the keeper process, and the channel to the first process."""

    def __init__(self, pid: int, channel: Channel) -> None:
        self.channel = channel
        self._pid: int | None = pid

    def end(self) -> None:
        """End everything in the sandbox, and wait until it is gone, mounts included. Again is fine."""
        self.channel.close()
        if self._pid is not None:
            pid, self._pid = self._pid, None
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def start(first: Callable[[Channel], None], *, own_network: bool) -> Keeper:
    """Fork the keeper and the first process, which calls `first`; that must catch its own errors but for bugs."""
    ours, theirs = pair()
    pid = fork()
    if pid:
        theirs.close()
        return Keeper(pid, ours)
    status = 70  # EX_SOFTWARE: nothing below gets this far
    try:
        status = _keep(first, theirs, own_network=own_network)
    finally:
        os._exit(status)


def _keep(first: Callable[[Channel], None], channel: Channel, *, own_network: bool) -> int:
    _leave_the_parent(channel.fileno())
    try:
        _unshare(own_network=own_network)
    except BackoutError as error:
        channel.send({"error": error.document()})
        return 1
    pid = fork()
    if pid == 0:
        status = 70
        try:
            call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
            first(channel)
            status = 0
        finally:
            os._exit(status)
    channel.close()
    os.waitpid(pid, 0)
    return 0


def _leave_the_parent(kept: int) -> None:
    """Keep nothing of the parent: no descriptor that would outlive it, no terminal, no signal handler."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != kept:  # noqa: PLR2004 - the standard three
            with contextlib.suppress(OSError):
                os.close(int(name))
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        signal.signal(number, signal.SIG_DFL)  # against which the kernel keeps the first process of a namespace alive
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _unshare(*, own_network: bool) -> None:
    flags = _NEWNS | _NEWPID | _NEWIPC | _NEWUTS | _NEWCGROUP | (_NEWNET if own_network else 0)
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            call("unshare", flags)
        except OSError as error:
            raise _forbidden_to_root(error) from error
        return
    try:
        call("unshare", flags | _NEWUSER)
        _write("/proc/self/setgroups", b"deny")
        _write("/proc/self/uid_map", b"%d %d 1" % (uid, uid))
        _write("/proc/self/gid_map", b"%d %d 1" % (gid, gid))
        call("sethostname", *_hostname())
    except OSError as error:
        raise _forbidden(error) from error


def _hostname() -> tuple[bytes, ctypes.c_size_t]:
    """Set the name that it has already: Ubuntu lets everybody make the namespace, and then forbids using it."""
    name = os.fsencode(os.uname().nodename)
    return name, ctypes.c_size_t(len(name))


def _write(path: str, content: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(content)


def _forbidden_to_root(error: OSError) -> NotPossibleError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return NotPossibleError(
            "Root may not make namespaces here, as in an unprivileged container.",
            next="Run backout on the host itself.",
        )
    return NotPossibleError(f"This kernel does not give the namespaces of a rehearsal: {error.strerror}.")


def _forbidden(error: OSError) -> NotPossibleError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return NotPossibleError(
            "This host forbids user namespaces to ordinary users, so a rehearsal needs root.", next=USER_NAMESPACES_NEXT
        )
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        return NotPossibleError(
            "This host allows no (more) user namespaces.", next="sudo sysctl -w user.max_user_namespaces=10000"
        )
    return NotPossibleError(f"This kernel does not give the namespaces of a rehearsal: {error.strerror}.")


def look_like_the_hosts_first(comm: bytes) -> None:
    """Be called as the host's PID 1, by which programs tell the service manager (traps A8); and be closed to others."""
    call("prctl", _PR_SET_NAME, comm)
    call("prctl", _PR_SET_DUMPABLE, ctypes.c_ulong(0))


def hosts_first() -> bytes:
    """Read what the host's PID 1 is called; where other users' processes are hidden (hidepid), infer it."""
    try:
        with open("/proc/1/comm", "rb") as file:
            return file.read().rstrip(b"\n")
    except OSError:
        return b"systemd" if os.path.isdir("/run/systemd/system") else b"init"


def hosts_first_environ() -> bytes | None:
    """Read the environment of the host's PID 1; None where that is not allowed, as without root."""
    try:
        with open("/proc/1/environ", "rb") as file:
            return file.read()
    except PermissionError:
        return None
