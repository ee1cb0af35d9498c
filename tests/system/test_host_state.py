"""What the reading of a host notices: each of its parts is altered, and only that one is told.

Without this, the comparison that every attempt of `test_containment` ends with could be blind. What would harm the
machine is altered in namespaces of the test's own, or in a stand-in for a file of the kernel's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from backout.host.libc import call
from backout.host.mounting import bind, make_private, tmpfs
from kit.host_state import PARTS, HostState, watched

NEWTIME, NEWNS, NEWUTS, NEWIPC, NEWNET = 0x80, 0x20000, 0x4000000, 0x8000000, 0x40000000
THP, SWAPS = "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/swaps"
KEYS = {"x86_64": (248, 250), "aarch64": (217, 219)}
ADD_KEY, KEYCTL = KEYS[os.uname().machine]
PTRACE_SEIZE = 0x4206
SETTLE_S = 0.2
"""What stays is what is looked for; others' doings go by."""


class Alteration(NamedTuple):
    """How to alter one part; `first` is done before the first reading, in the namespaces."""

    part: str
    alter: Callable[[HostState], object]
    namespaces: int = 0
    first: Callable[[HostState], object] = lambda host: host


def sh(script: str) -> Callable[[HostState], object]:
    """Alter with a shell, in the test's folder."""
    return lambda host: subprocess.run(["sh", "-ec", script], cwd=host.folder, check=True)


def stand_in(path: str) -> Callable[[HostState], object]:
    """Put a file of ours in the place of one of the kernel's."""

    def put(host: HostState) -> None:
        make_private()
        Path(host.state).write_bytes(Path(path).read_bytes())
        bind(os.fsencode(host.state), os.fsencode(path))

    return put


def empty_modules(_: HostState) -> None:
    """Put an empty folder in the place of the kernel's list."""
    make_private()
    tmpfs(b"/sys/module", b"size=1m")


def mount_elsewhere(_: HostState) -> None:
    """Mount a folder onto itself, where nothing else is looked at."""
    make_private()
    bind(b"/usr/share", b"/usr/share")


def listen(family: int, kind: int, address: Any) -> Callable[[HostState], object]:
    """Open a socket, which lasts as long as the test's process."""
    return lambda _: held_open(family, kind, address)


def held_open(family: int, kind: int, address: Any) -> None:
    """Leave a socket open when its object is gone."""
    one = socket.socket(family, kind)
    one.bind(address)
    if kind == socket.SOCK_STREAM:
        one.listen()
    one.detach()


def connect(family: int, address: Callable[[HostState], Any]) -> Callable[[HostState], object]:
    """Reach a listener of the host."""

    def reach(host: HostState) -> None:
        with socket.socket(family) as one:
            one.connect(address(host))

    return reach


def leave_a_daemon(_: HostState) -> None:
    """Start what goes on after the one that started it."""
    subprocess.run(["sh", "-c", "setsid sleep 30 >/dev/null 2>&1 &"], check=True)


def trace(host: HostState) -> None:
    """Follow another process."""
    call("ptrace", ctypes.c_long(PTRACE_SEIZE), host.witness.processes[0].pid, None, None)


def move_the_clock(_: HostState) -> None:
    """Set the other clocks back, for what is started from now on: the same to see as the day's set forward."""
    call("unshare", NEWTIME)
    Path("/proc/self/timens_offsets").write_text("boottime 100 0\n")


def nft_table(_: HostState) -> None:
    """Add a table, as one batch: begin, new table, end (linux/netfilter/nfnetlink.h, nf_tables.h)."""
    name = struct.pack("=HH4s", 8, 1, b"toy\0")
    parts = [(16, 0, b"", 10), (10 << 8, 4, name, 0), (17, 0, b"", 10)]
    batch = b"".join(
        struct.pack("=LHHLLBBH", 20 + len(body), kind, 1 | flags, at, 0, 1, 0, socket.htons(subsystem)) + body
        for at, (kind, flags, body, subsystem) in enumerate(parts)
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as kernel:
        kernel.send(batch)
        assert struct.unpack_from("=i", kernel.recv(4096), 16) == (0,)


def own_keyring(_: HostState) -> None:
    """Begin a session keyring, which ends with this process."""
    call("syscall", ctypes.c_long(KEYCTL), 1, None)


def add_key(_: HostState) -> None:
    """Put a key into it."""
    call("syscall", ctypes.c_long(ADD_KEY), b"user", b"toy", b"toy", ctypes.c_size_t(3), ctypes.c_long(-3))


def make_cgroup(host: HostState) -> None:
    """Make a group in the first tree that there is; `remove_cgroups` removes it."""
    tree = next(path for path in ("freezer", "unified", "") if Path("/sys/fs/cgroup", path).is_dir())
    Path("/sys/fs/cgroup", tree, f"backout-test-{host.home}").mkdir()


ALTERATIONS = {
    "a file is made": Alteration("tree", sh("touch new")),
    "a file is written, to the same size": Alteration("tree", sh("printf b > old"), 0, sh("printf a > old")),
    "a mode is changed": Alteration("tree", sh("chmod 700 .")),
    "a time is set": Alteration("tree", sh("touch -d 2001-01-01 .")),
    "a daemon is left": Alteration("processes", leave_a_daemon),
    "a process is ended": Alteration("processes", lambda host: os.kill(host.witness.processes[1].pid, signal.SIGKILL)),
    "a process is stopped": Alteration(
        "processes", lambda host: os.kill(host.witness.processes[0].pid, signal.SIGSTOP)
    ),
    "a process is slowed": Alteration(
        "processes", lambda host: os.setpriority(os.PRIO_PROCESS, host.witness.processes[0].pid, 5)
    ),
    "a process is traced": Alteration("processes", trace),
    "a mount": Alteration("mounts", mount_elsewhere, NEWNS, lambda _: make_private()),
    "a kernel setting": Alteration("sysctls", sh("echo 1 > /proc/sys/net/ipv4/ip_forward"), NEWNET),
    "an abstract socket": Alteration("sockets", listen(socket.AF_UNIX, socket.SOCK_STREAM, "\0backout-test-toy")),
    "a port": Alteration("sockets", listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))),
    "a datagram port": Alteration("sockets", listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))),
    "a visit by abstract name": Alteration("sockets", connect(socket.AF_UNIX, lambda host: host.witness.abstract)),
    "a visit by path": Alteration("sockets", connect(socket.AF_UNIX, lambda host: host.witness.path)),
    "a visit by port": Alteration("sockets", connect(socket.AF_INET, lambda host: ("127.0.0.1", host.witness.port))),
    "the clock": Alteration("clock", move_the_clock),
    "an interface": Alteration("interfaces", sh("ip link add toy type veth peer name toy2"), NEWNET),
    "an address": Alteration("interfaces", sh("ip addr add 192.0.2.7/32 dev lo"), NEWNET),
    "a firewall rule": Alteration("firewall", nft_table, NEWNET),
    "the host's name": Alteration("name", lambda _: call("sethostname", b"toy", ctypes.c_size_t(3)), NEWUTS),
    "a control group": Alteration("cgroups", make_cgroup),
    "a message queue": Alteration("shared memory", lambda _: call("msgget", 7, 0o1600), NEWIPC),
    "shared memory": Alteration("shared memory", lambda _: Path("/dev/shm/backout-test-toy").touch()),
    "a module": Alteration("modules", sh("mkdir /sys/module/toy"), NEWNS, empty_modules),
    "a key": Alteration("keys", add_key, 0, own_keyring),
    "swap": Alteration("disks", sh(f"echo '/toy file 8 0 -2' >> {SWAPS}"), NEWNS, stand_in(SWAPS)),
    "a setting elsewhere": Alteration("kernel files", sh(f"echo toy > {THP}"), NEWNS, stand_in(THP)),
}
ALSO = {
    "the clock": {"processes"},  # the start of a process is told in the clock of the reader's namespace
    "an interface": {"sysctls"},  # each interface has settings
}


@pytest.fixture
def host(place: Any) -> Iterator[HostState]:
    """Give a reader of the host without the comparison at the end, and remove what an alteration made."""
    with watched(place.root, os.fsdecode(place.state)) as host:
        yield host
    for group in Path("/sys/fs/cgroup").glob(f"**/backout-test-{os.getpid()}"):
        group.rmdir()
    Path("/dev/shm/backout-test-toy").unlink(missing_ok=True)
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text() == "sleep\n":  # the daemon, which came to us
            os.kill(int(child), signal.SIGKILL)
            os.waitpid(int(child), 0)
    while ": toy:" in (keys := Path("/proc/keys").read_text()) or " toy: " in keys:  # until the kernel has swept it up
        time.sleep(0.01)


@pytest.mark.parametrize("what", ALTERATIONS)
def test_each_alteration_is_noticed_in_its_part_and_no_other(host: HostState, in_child: Any, what: str) -> None:
    """A comparison is worth what it notices."""
    alteration = ALTERATIONS[what]

    def inside() -> Any:
        if alteration.namespaces:
            call("unshare", alteration.namespaces)
        alteration.first(host)
        before = host.read()
        alteration.alter(host)
        if what == "the clock":  # what is seen by the next process
            return in_child(lambda: host.since(before, SETTLE_S))
        return host.since(before, SETTLE_S)

    found = in_child(inside)
    assert alteration.part in found
    assert set(found) == {alteration.part} | ALSO.get(what, set()), found


def test_every_part_is_altered_by_one_of_these() -> None:
    """A part that nothing alters may read nothing."""
    assert {alteration.part for alteration in ALTERATIONS.values()} == set(PARTS)


def test_a_host_that_nobody_alters_is_the_same(host: HostState) -> None:
    """A comparison that cries wolf is switched off; and it must be fast enough for every attempt."""
    before = host.read()
    time.sleep(0.1)
    assert host.since(before) == {}
