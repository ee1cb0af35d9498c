"""What this host can do for a rehearsal, found out by trying it, for `doctor`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from backout.errors import BackoutError
from backout.host import capabilities, seccomp
from backout.host.folders import remove_tree
from backout.host.ledger import Ledger, is_lost, lost, make_state
from backout.host.libc import RENAME_EXCHANGE, renameat2
from backout.host.namespaces import start
from backout.host.sandbox import Sandbox

Row = tuple[str, bool, str, str]
"""A name, whether it is as needed, a sentence, and what to do (empty: nothing)."""

_NEEDED = ("sys_admin", "chown", "dac_override", "fowner", "mknod", "setfcap", "setpcap", "sys_chroot")
_SPACE_BYTES = 1 << 30


def probe(state: bytes) -> list[Row]:
    """Try each thing that a rehearsal and an apply need; the state folder is made when it is missing."""
    rows = [_system(), _overlay(), _namespaces(), *_capabilities()]
    try:
        make_state(state)
    except BackoutError as error:
        return [*rows, ("state folder", False, error.what, error.next)]
    return [*rows, _ledger(state), _exchange(state), _space(state), *_view(state)]


def _ledger(state: bytes) -> Row:
    ledger = Ledger(state)
    try:
        if is_lost(ledger):
            raise lost(ledger)
        count = len(ledger.entries())
    except BackoutError as error:
        return "ledger", False, error.what, error.next
    return "ledger", True, f"The ledger is whole: {count} entries.", ""


def _system() -> Row:
    system = os.uname()
    try:
        seccomp.program(system.machine)
    except BackoutError as error:
        return "system", False, error.what, "Use an x86_64, aarch64 or riscv64 host."
    return "system", True, f"{system.sysname} {system.release} on {system.machine}.", ""


def _overlay() -> Row:
    with open("/proc/filesystems", encoding="ascii") as file:
        if "overlay" in file.read().split():
            return "overlay", True, "The kernel has overlayfs.", ""
    return "overlay", False, "The kernel has no overlayfs, or has not loaded it.", "sudo modprobe overlay"


def _namespaces() -> Row:
    keeper = start(lambda channel: channel.send({}), own_network=True)
    try:
        message = keeper.channel.receive()
    finally:
        keeper.end()
    error = {"what": "The namespaces could not be made.", "next": ""} if message is None else message[0].get("error")
    if error:
        return "namespaces", False, error["what"], error["next"]
    what = "Root may make namespaces." if os.geteuid() == 0 else "This user may make user namespaces."
    return "namespaces", True, what, ""


def _capabilities() -> Iterator[Row]:
    if os.geteuid() != 0:
        yield "root", True, "Without root, only what this user may change can be rehearsed.", ""
        return
    missing = [name for name in _NEEDED if not capabilities.may(name)]
    if missing:
        names = ", ".join(missing)
        yield "capabilities", False, f"This root lacks {names}.", "Run backout on the host itself, not in a container."
    else:
        yield "capabilities", True, "Root has the capabilities that a view needs.", ""


def _exchange(state: bytes) -> Row:
    one, other = state + b"/probe-one-%d" % os.getpid(), state + b"/probe-other-%d" % os.getpid()
    try:
        for path in (one, other):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        renameat2(one, other, RENAME_EXCHANGE)
    except OSError as error:
        what = f"Files cannot be exchanged in {os.fsdecode(state)}: {error.strerror}."
        return "exchange", False, what, "Put the state folder on ext4, xfs or btrfs (BACKOUT_STATE)."
    finally:
        for path in (one, other):
            with contextlib.suppress(OSError):
                os.unlink(path)
    return "exchange", True, "Files can be exchanged atomically (renameat2).", ""


def _space(state: bytes) -> Row:
    now = os.statvfs(state)
    free = now.f_bavail * now.f_frsize
    what = f"{free / (1 << 30):.1f} GiB are free where {os.fsdecode(state)} lies."
    return "space", free >= _SPACE_BYTES, what, "" if free >= _SPACE_BYTES else "Free some, at least 1 GiB."


def _view(state: bytes) -> Iterator[Row]:
    """Make a whole view, and look at it from inside."""
    sandbox = Sandbox(f"probe-{os.getpid()}", state)
    seen: list[bytes] = []
    try:
        with sandbox:
            command = [b"/bin/cat", b"/proc/mounts"]
            sandbox.run(command, b"/", {}, lambda _, data: seen.append(data))
            sandbox.freeze()
            elsewhere = [p for p in sandbox.layers if os.stat(p.folder).st_dev != os.stat(p.point).st_dev]
    except BackoutError as error:
        yield "view", False, error.what, error.next
        return
    finally:
        sandbox.close(keep=False)
        remove_tree(state + b"/stage/probe-%d" % os.getpid())
    layers = "1 layer" if len(sandbox.layers) == 1 else f"{len(sandbox.layers)} layers"
    yield "view", True, f"A view of this host stands, with {layers}.", ""
    yield from (("limit", True, sentence, "") for sentence in sandbox.limits)
    fast = b"volatile" in b"".join(seen)
    yield (
        "volatile",
        True,
        "Layers are volatile: fast." if fast else "Layers are not volatile: rehearsals are slow.",
        "",
    )
    names = ", ".join(os.fsdecode(layer.point) for layer in elsewhere)
    what = f"Changes in {names} would be copied." if names else "Every layer lies where it is promoted to."
    yield "same file system", not names, what, ""
