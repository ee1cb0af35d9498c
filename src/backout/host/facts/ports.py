"""Ports that are listened on, by the kernel's tables, with the program that holds each (proc_pid_net(5))."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from typing import NamedTuple

from backout.host.facts.looking import Looking
from backout.model.fact import Fact

_LISTEN, _UNCONNECTED = "0A", "07"
UNKNOWN = "?"


class Listening(NamedTuple):
    """A socket that takes what comes: `tcp/0.0.0.0:22`, and its inode."""

    subject: str
    port: int
    inode: str


def listening(looking: Looking) -> Iterator[Fact]:
    """Tell every TCP port that is listened on, and every UDP port but those that are lent for a while."""
    found: dict[str, str] = {}
    lent = _lent(looking)
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for one in sockets(name, (looking.read(f"/proc/self/net/{name}") or b"").decode()):
            if not (name.startswith("udp") and one.port in lent):
                found.setdefault(one.subject, one.inode)
    holders = _holders(set(found.values()))
    nameless = sum(inode not in holders for inode in found.values())
    if nameless:
        without = "" if os.geteuid() == 0 else " without root"
        looking.limit(f"Which program listens cannot be told{without}: {nameless} of {len(found)} ports.")
    for subject, inode in sorted(found.items(), key=lambda row: row[0].split("/")):
        yield Fact("port", subject, holders.get(inode, UNKNOWN))


def sockets(name: str, table: str) -> Iterator[Listening]:
    """Read one table, such as tcp6: those that listen; of UDP those that are not connected to somebody."""
    wanted = _LISTEN if name.startswith("tcp") else _UNCONNECTED
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == wanted:  # noqa: PLR2004 - the inode is the tenth
            address, _, port = fields[1].partition(":")
            yield Listening(f"{name[:3]}/{_address(address)}:{int(port, 16)}", int(port, 16), fields[9])


def _address(text: str) -> str:
    """Read an address as the kernel prints it: words of 32 bits in the machine's own order."""
    words = [bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8)]
    raw = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    if len(words) == 1:
        return socket.inet_ntop(socket.AF_INET, raw)
    return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]"


def _lent(looking: Looking) -> range:
    """Give the ports that clients are given for a while (ip(7), ip_local_port_range)."""
    words = (looking.read("/proc/sys/net/ipv4/ip_local_port_range") or b"").split()
    return range(int(words[0]), int(words[1]) + 1) if len(words) > 1 else range(0)


def _holders(inodes: set[str]) -> dict[str, str]:
    """Name the program of each socket: of several that share it the oldest process."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    holders: dict[str, str] = {}
    for pid in sorted((name for name in os.listdir("/proc") if name.isdigit()), key=int):
        found = _links(pid) & wanted.keys() if wanted else set()
        program = _program(pid) if found else None
        if program is not None:
            holders.update((wanted.pop(link), program) for link in found)
    return holders


def _links(pid: str) -> set[str]:
    """Give what a process holds open; nothing of one that has ended, or is not ours to look into."""
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                found.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found


def _program(pid: str) -> str | None:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:
        return os.fsdecode(file.read().rstrip(b"\n"))
    return None
