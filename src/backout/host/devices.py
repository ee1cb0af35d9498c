"""A view's own /proc, /sys and /dev: enough for programs, and no way to the host's kernel settings or disks."""

from __future__ import annotations

import contextlib
import os
import stat as st

from backout.host.mounting import bind, make_read_only, mount, tmpfs
from backout.host.mounts import NODEV, NOEXEC, NOSUID, RDONLY

_SAFE = NOSUID | NODEV | NOEXEC
_SETTINGS = (
    b"acpi asound bus driver dynamic_debug fs irq latency_stats mtrr scsi slabinfo sys sysrq-trigger tty".split()
)
"""What in /proc is a kernel setting that root may write without any capability."""
_NODES = {b"null": (1, 3), b"zero": (1, 5), b"full": (1, 7), b"random": (1, 8), b"urandom": (1, 9), b"tty": (5, 0)}
_LINKS = {
    b"fd": b"/proc/self/fd",
    b"stdin": b"/proc/self/fd/0",
    b"stdout": b"/proc/self/fd/1",
    b"stderr": b"/proc/self/fd/2",
    b"ptmx": b"pts/ptmx",
}
_DEV_BYTES = 4 << 20
"""What systemd gives /dev: enough for nodes, and for the log of somebody who mistyped /dev/null."""
_TTY_GROUP = 5
"""The group that devpts gives terminals on Debian and most others (grantpt(3))."""


def make_proc(place: bytes) -> None:
    """Show the processes of the view alone; kernel settings are read-only (traps D2)."""
    target = place + b"/proc"
    mount(b"proc", target, b"proc", _SAFE)
    for name in _SETTINGS:
        with contextlib.suppress(FileNotFoundError):
            bind(target + b"/" + name, target + b"/" + name, _SAFE | RDONLY)


def make_sys(place: bytes, *, own_network: bool) -> None:
    """Show the kernel's devices, read-only; with the view's own interfaces where it has a network of its own."""
    target = place + b"/sys"
    if not os.path.isdir(target):
        return
    if own_network:
        with contextlib.suppress(PermissionError):
            mount(b"sysfs", target, b"sysfs", _SAFE | RDONLY)
            return
    bind(b"/sys", target, recursive=True)
    make_read_only(target)


def make_dev(place: bytes, nodes: bytes, *, rootless: bool) -> None:
    """Give what programs need (traps A10). New device nodes work nowhere in the view: all of /dev but these is nodev.

    `nodes` is a folder on which device nodes work; without root the host's own nodes are shown instead.
    """
    target = place + b"/dev"
    tmpfs(target, b"mode=755,size=%d" % _DEV_BYTES, NOSUID | NODEV)
    for name, numbers in _NODES.items():
        source = b"/dev/" + name
        if not rootless:
            source = nodes + b"/" + name
            os.mknod(source, st.S_IFCHR | 0o666, os.makedev(*numbers))
        os.close(os.open(target + b"/" + name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        bind(source, target + b"/" + name)
    _make_links(target)
    os.mkdir(target + b"/pts", 0o755)
    group = b"" if rootless else b",gid=%d" % _TTY_GROUP
    mount(b"devpts", target + b"/pts", b"devpts", NOSUID | NOEXEC, b"newinstance,ptmxmode=0666,mode=620" + group)
    os.mkdir(target + b"/shm", 0o755)
    tmpfs(target + b"/shm", b"mode=1777,size=%d" % _shared_memory_bytes())
    if os.path.isdir(b"/dev/mqueue"):
        os.mkdir(target + b"/mqueue", 0o755)
        mount(b"mqueue", target + b"/mqueue", b"mqueue", _SAFE)


def _shared_memory_bytes() -> int:
    """Give /dev/shm the host's size, and never more than the kernel would by itself: half of the memory."""
    half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    if not os.path.isdir(b"/dev/shm"):
        return half
    host = os.statvfs(b"/dev/shm")
    return min(half, host.f_blocks * host.f_frsize or half)


def _make_links(target: bytes) -> None:
    """Make the usual symlinks, and the host's own, such as /dev/log."""
    found = {entry.name: os.readlink(entry.path) for entry in os.scandir(b"/dev") if entry.is_symlink()}
    for name, leads_to in {**found, **_LINKS}.items():
        with contextlib.suppress(FileExistsError):
            os.symlink(leads_to, target + b"/" + name)
