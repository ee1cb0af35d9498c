"""What a rehearsed command tried and was refused: the kernel asks us about some system calls, and we say no.

They would change the whole host, and capabilities refuse them already (`capabilities`). Asked, we also know of it, so
that `limits` can say what was not measured (seccomp_unotify(2), Linux 5.0). The first process of the view answers,
outside the filter. When it ends, the whole view does, so that nobody waits for an answer for ever.

Not told, since a filter cannot see it: what is written to a read-only /proc/sys or /sys, what is asked over netlink (an
interface, a firewall rule), a clock that is slewed (adjtimex), 32-bit programs. Keyrings are not told either: many
programs try one, and go on without.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Sequence

from backout.host.libc import call

_GROUPS = {
    "mounting": "mount umount2 pivot_root fsopen fspick move_mount mount_setattr",
    "swap": "swapon swapoff",
    "kernel modules": "init_module finit_module delete_module",
    "programs in the kernel": "bpf",
    "the clock": "clock_settime settimeofday",
    "the host's name": "sethostname setdomainname",
    "a reboot": "reboot kexec_load kexec_file_load",
    "process accounting": "acct",
}
_X86_64 = "165 166 155 430 433 429 442 167 168 175 313 176 321 227 164 170 171 169 246 320 163"
_GENERIC = "40 39 41 430 433 429 442 224 225 105 273 106 280 112 170 161 162 142 104 294 89"
_NAMES = " ".join(_GROUPS.values()).split()
NUMBERS = {
    machine: dict(zip((int(number) for number in numbers.split()), _NAMES))
    for machine, numbers in (("x86_64", _X86_64), ("aarch64", _GENERIC), ("riscv64", _GENERIC))
}
"""The system calls that we are asked about, by machine and number."""

_SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_QUESTION, _ANSWER = struct.Struct("=QIIiI56x"), struct.Struct("=QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND (linux/seccomp.h)


class Listener:
    """Our side of the questions. `tried` names the system calls that were refused so far."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.tried: set[str] = set()

    def fileno(self) -> int:
        """Give the descriptor, to wait on it."""
        return self._descriptor

    def refuse(self) -> None:
        """Answer one question: "not permitted", as the capabilities would."""
        question = bytearray(_QUESTION.size)
        with contextlib.suppress(FileNotFoundError):  # whoever asked has been killed
            fcntl.ioctl(self._descriptor, _RECEIVE, question)
            asked, _, _, number, _ = _QUESTION.unpack(question)
            self.tried.add(NUMBERS[os.uname().machine][number])
            fcntl.ioctl(self._descriptor, _SEND, _ANSWER.pack(asked, 0, -errno.EPERM, 0))

    def close(self) -> None:
        """Ask no more: whoever still has a question is answered "not implemented" by the kernel."""
        os.close(self._descriptor)


def install(program: object) -> int | None:
    """Put a filter over this process and all that it starts; give the descriptor of its questions.

    None, and no filter, where the kernel has no such thing, or where somebody above us listens already.
    """
    try:
        return call("syscall", _SECCOMP[os.uname().machine], _SET_MODE_FILTER, _NEW_LISTENER, program)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EBUSY):
            return None
        raise


def sentence(tried: Sequence[str]) -> str:
    """Say for `limits` what was refused, by what it is for."""
    found = []
    for what, names in _GROUPS.items():
        calls = [name for name in names.split() if name in tried]
        if calls:
            found.append(f"{what} ({', '.join(calls)})")
    return f"The command tried what a rehearsal refuses, so that its effect is not known: {', '.join(found)}."
