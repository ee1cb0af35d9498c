"""The system calls that a rehearsed command may not make: those to kernel objects outside namespaces (traps D1).

Capabilities stop the rest; of some of it the kernel asks us before (`refused`). A filter is classic BPF over `struct
seccomp_data` (seccomp(2)); the numbers are those of the kernel's `arch/*/entry/syscalls/*.tbl`. It needs no_new_privs
not, and sets it not: sudo and su work as on the host.

Refused:
- keyctl, add_key, request_key: keyrings are shared by the whole host. "Not implemented", as on a kernel without keys.
- io_uring: it makes sockets past any filter. clone3: its flags lie in memory, where a filter cannot read them; C
  libraries fall back to clone. Both "not implemented".
- bpf, perf_event_open: they look at the whole host.
- sockets but of a few families: AF_VSOCK reaches the hypervisor, others make the kernel load modules; and the audit
  log, which is the host's.
- new user namespaces: in one, the command would have every capability again that was taken from it - over mounts
  that it makes itself, and over the most kernel code. Package managers need none; those that try (browsers' own
  sandboxes, rootless containers) are told "not permitted", as on many hardened hosts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from typing import NamedTuple

from backout.errors import NotPossibleError
from backout.host import refused
from backout.host.libc import call

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h
_ALLOW, _ERRNO, _ASK = 0x7FFF0000, 0x00050000, 0x7FC00000  # linux/seccomp.h
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_CLONE_NEWUSER = 0x10000000
_X32 = 0x40000000
_UNIX, _INET, _INET6, _NETLINK, _PACKET, _ALG = 1, 2, 10, 16, 17, 38
_NETLINK_AUDIT = 9


class _Arch(NamedTuple):
    """One machine's numbers; `audit` is its AUDIT_ARCH (linux/audit.h)."""

    audit: int
    keys: tuple[int, int, int]
    socket: int
    clone: int
    unshare: int
    looks: tuple[int, int]
    """bpf, perf_event_open"""
    also: tuple[int, ...] = ()
    """Not implemented, either."""


_IO_URING_SETUP, _CLONE3 = 425, 435  # the same everywhere
_X86_64 = _Arch(0xC000003E, (248, 249, 250), 41, 56, 272, (321, 298))
_I386 = _Arch(0x40000003, (286, 287, 288), 359, 120, 310, (357, 336), (102,))  # 102 is socketcall
_AARCH64 = _Arch(0xC00000B7, (217, 218, 219), 198, 220, 97, (280, 241))
_ARM = _Arch(0x40000028, (309, 310, 311), 281, 120, 337, (386, 364))
_RISCV64 = _AARCH64._replace(audit=0xC00000F3)
_MACHINES = {"x86_64": (_X86_64, _I386), "aarch64": (_AARCH64, _ARM), "riscv64": (_RISCV64,)}


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _answer(error: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | error)


def _when(value: int, *then: bytes, code: int = _EQUAL) -> list[bytes]:
    """Do `then` when what was loaded is `value` (or has a bit of it, or is at least that); else go on after it."""
    return [_instruction(code, value, 0, len(then)), *then]


def _load_argument(index: int) -> bytes:
    return _instruction(_LOAD, _ARGUMENTS_AT + 8 * index)


def _block(arch: _Arch, asked: Iterable[int]) -> list[bytes]:
    allow = _instruction(_RETURN, _ALLOW)
    code = [_instruction(_LOAD, _NUMBER_AT)]
    for number in asked:
        code += _when(number, _instruction(_RETURN, _ASK))
    if arch is _X86_64:
        code += _when(_X32, _answer(errno.ENOSYS), code=_AT_LEAST)
    for number in (*arch.keys, _IO_URING_SETUP, _CLONE3, *arch.also):
        code += _when(number, _answer(errno.ENOSYS))
    for number in arch.looks:
        code += _when(number, _answer(errno.EPERM))
    for number in (arch.clone, arch.unshare):
        code += _when(number, _load_argument(0), *_when(_CLONE_NEWUSER, _answer(errno.EPERM), code=_ANY_BIT), allow)
    return [*code, *_when(arch.socket, *_socket_rule(allow)), allow]


def _socket_rule(allow: bytes) -> list[bytes]:
    code = [_load_argument(0)]
    for family in (_UNIX, _INET, _INET6, _PACKET, _ALG):
        code += _when(family, allow)
    netlink = [_load_argument(2), *_when(_NETLINK_AUDIT, _answer(errno.EPROTONOSUPPORT)), allow]
    return [*code, *_when(_NETLINK, *netlink), _answer(errno.EAFNOSUPPORT)]


def program(machine: str, *, asking: bool = False) -> bytes:
    """Give the filter for a machine, as `uname -m` names it. NotPossibleError for one that is not known here.

    With `asking`, what is `refused` is asked about.
    """
    if machine not in _MACHINES:
        raise NotPossibleError(f"Rehearsals are not contained on {machine} yet: its system call numbers are not known.")
    code = [_instruction(_LOAD, _ARCH_AT)]
    for native, arch in enumerate(_MACHINES[machine]):
        asked = refused.NUMBERS[machine] if asking and native == 0 else ()
        code += _when(arch.audit, *_block(arch, asked))
    return b"".join([*code, _answer(errno.ENOSYS)])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def install() -> None:
    """Put the filter over this process and all that it starts. Needs CAP_SYS_ADMIN in the own user namespace."""
    nothing = ctypes.c_ulong(0)
    wanted = ctypes.byref(_wanted(asking=False))
    call("prctl", _PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), wanted, nothing, nothing)


def install_asking() -> int | None:
    """Do the same, and give the descriptor of its questions; None where the kernel asks none."""
    listener = refused.install(ctypes.byref(_wanted(asking=True)))
    if listener is None:
        install()
    return listener


def _wanted(*, asking: bool) -> _Program:
    code = program(os.uname().machine, asking=asking)
    return _Program(len(code) // 8, code)
