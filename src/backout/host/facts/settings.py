"""What the kernel is set to, and what is mounted: /proc/sys and /proc/self/mountinfo."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from backout.host.facts.ground import DISKS, Ground
from backout.host.facts.looking import Looking
from backout.host.mounts import Mount
from backout.model.fact import Fact
from backout.model.redact import MASK

_SYSCTL = "/proc/sys"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MOVING = re.compile(
    r"fs/(?:binfmt_misc|dentry-state|file-nr|inode-nr|inode-state|aio-nr|quota/.*)|kernel/(?:random/.*|ns_last_pid|pty/nr)"
    r"|dev/.*|kernel/sched_domain|net/netfilter/nf_conntrack_count|sunrpc/.*|net/ipv[46]/route/flush"
    r"|kernel/cad_pid|net/ipv6/conf/[^/]+/stable_secret|vm/stat_refresh"
)
"""Counters and noise, not settings (the kernel's admin-guide/sysctl); what is drawn once a boot; and what is no value,
but makes every processor add up its counters when it is read.
"""
_INTERFACE = re.compile(r"net/ipv[46]/(?:conf|neigh)/([^/]+)")
_SECRET = re.compile(r".*_key")
_PASSING = re.compile(
    r"/run/user/.*|/run/credentials/.*|/run/docker/.*|/var/lib/(?:docker|containers|containerd|kubelet)/.*"
)
"""Mounts that come and go with logins, services and containers."""
_LOW = 0.9
_MOST_BYTES = 4096
_GIB = 1 << 30


def sysctl(looking: Looking) -> Iterator[Fact]:
    """Tell every setting of the kernel; of network interfaces those of devices, and `all` and `default`."""
    try:
        top = os.open(_SYSCTL, _FOLDER)
    except OSError:
        looking.limit("There is no /proc/sys here: settings of the kernel cannot be told.")
        return
    yield from _below(looking, "", top)


def _below(looking: Looking, folder: str, opened: int) -> Iterator[Fact]:
    """Tell what a folder has, and close it. Names are reached from it: the kernel does not know ways into /proc/sys."""
    try:
        for name, is_folder in _entries(looking, folder, opened):
            inner = f"{folder}{name}"
            if _MOVING.fullmatch(inner):
                continue
            if is_folder:
                if not _is_passing_interface(inner):
                    yield from _inside(looking, inner, name, opened)
                continue
            value = _setting(looking, inner, name, opened)
            if value is not None:
                text = os.fsdecode(value).strip().replace("\t", " ")
                subject = inner.replace(".", "\0").replace("/", ".").replace("\0", "/")  # as sysctl(8) writes it
                yield Fact("sysctl", subject, MASK if _SECRET.fullmatch(inner) and text else text)
    finally:
        os.close(opened)


def _inside(looking: Looking, folder: str, name: str, outer: int) -> Iterator[Fact]:
    try:
        opened = os.open(name, _FOLDER, dir_fd=outer)
    except FileNotFoundError:  # its device went away meanwhile
        return
    except OSError as error:
        looking.unread(f"{_SYSCTL}/{folder}", error)
        return
    yield from _below(looking, f"{folder}/", opened)


def _entries(looking: Looking, folder: str, opened: int) -> list[tuple[str, bool]]:
    """List a folder, sorted, and which of it are folders; nothing of one that went away meanwhile with its device."""
    try:
        with os.scandir(opened) as entries:
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        looking.unread(f"{_SYSCTL}/{folder}", error)
        return []


def _setting(looking: Looking, inner: str, name: str, folder: int) -> bytes | None:
    """Give a setting; None where it can only be written. The kernel gives it whole, or with its first bytes."""
    path = f"{_SYSCTL}/{inner}"
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return looking.read(path) if _mode(path) & 0o444 else None
    try:
        value = os.read(descriptor, _MOST_BYTES)
    except OSError:
        value = None
    finally:
        os.close(descriptor)
    is_whole = value is not None and len(value) < _MOST_BYTES
    return value if is_whole else looking.read(path)  # which reads on, or says why that cannot be


def _mode(path: str) -> int:
    """Give what a name is and allows; 0 when its device went away meanwhile."""
    try:
        return os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


def _is_passing_interface(path: str) -> bool:
    found = _INTERFACE.fullmatch(path)
    return (
        found is not None
        and found[1] not in ("all", "default", "lo")
        and not os.path.exists(f"/sys/class/net/{found[1]}/device")
    )


def mounted(looking: Looking, on: Ground) -> Iterator[Fact]:
    """Tell what is mounted, with the size of disks; one that is nearly full is named in the limits.

    Network file systems are not asked for their size: one that does not answer would hold up the look.
    """
    for point, mount in on.points.items():
        if not _PASSING.fullmatch(point):
            yield Fact("mount", point, _value(looking, point, mount))


def _value(looking: Looking, point: str, mount: Mount) -> dict[str, Any]:
    value: dict[str, Any] = {
        "type": os.fsdecode(mount.kind),
        "source": os.fsdecode(mount.source),
        "options": sorted(map(os.fsdecode, mount.options)),
    }
    if mount.kind in DISKS:
        try:
            space = os.statvfs(point)
        except OSError as error:
            looking.unread(point, error)
            return value
        value["size_bytes"] = space.f_blocks * space.f_frsize
        if not mount.read_only:
            _tell_low(looking, point, space)
    return value


def _tell_low(looking: Looking, point: str, space: os.statvfs_result) -> None:
    used = 1 - space.f_bavail / (space.f_blocks - space.f_bfree + space.f_bavail) if space.f_blocks else 0
    if used > _LOW:
        left = space.f_bavail * space.f_frsize / _GIB
        looking.limit(f"{point} is {used:.0%} full: {left:.1f} GiB are left.")
    if space.f_files and space.f_favail / space.f_files < 1 - _LOW:
        looking.limit(f"{point} has few inodes left: {space.f_favail} of {space.f_files}.")
