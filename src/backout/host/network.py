"""The network that a rehearsed command sees: the host's interfaces by name, MAC, address and route, and no way out.

Configuration managers write what they see into files: without the host's interfaces Ansible's templates came out
with another address, and Puppet chose another provider. So each interface is made again, as one end of a veth pair
whose other end lies in a second network namespace where nothing answers.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import closing
from typing import Callable, NamedTuple, TypeVar

from backout.host.libc import call
from backout.host.netlink import (
    ETHERNET,
    IFF_MULTICAST,
    IFF_RUNNING,
    IFF_UP,
    OPERATIONAL,
    Address,
    Link,
    Netlink,
    Peer,
    Route,
)

NONE, PACKAGES, HOST = "none", "packages", "host"
MODES = (NONE, PACKAGES, HOST)
"""What a rehearsal may reach: nothing, the package indexes through a proxy, whatever the host reaches."""

HOST_NETWORK_LIMIT = (
    "The rehearsal used the host's own network (--network host): nothing kept the command from changing other "
    "machines, or from talking to the services that run on this one."
)
"""What `limits` says, loudly, when no network namespace was made."""
NO_NETWORK_LIMIT = (
    "The rehearsal had no network (--network none): what the command tried to fetch or to send failed, and it may have "
    "gone on without it."
)
"""What `limits` says when there was no way out: `apt-get update` exits 0 then."""

MOST_ROUTES = 1000
"""More are not copied: a router with the whole internet's table would take minutes."""

_NEWNET = 0x40000000  # CLONE_NEWNET, sched.h
_SAME_KIND = ("bridge", "dummy", "ifb")
"""Virtual kinds that need nothing but a name, and lead nowhere by themselves: these are made as what they are."""
_LIKE_HARDWARE = ("", "veth", *_SAME_KIND)
_CARRIER_WAIT_S = 1.5
"""The kernel gathers such news for up to a second (net/core/link_watch.c)."""
_T = TypeVar("_T")


class Interfaces(NamedTuple):
    """A host's interfaces at one moment, with their addresses and routes."""

    links: tuple[Link, ...]
    addresses: tuple[Address, ...]
    routes: tuple[Route, ...]


class Mirror(NamedTuple):
    """What `mirror` made, and what it could not: `limits` are sentences for people.

    `beyond` is a descriptor of the namespace that holds the other ends. Closing it, in the last process that has it,
    takes the mirrored interfaces away: keep it for as long as the command runs. It closes by itself on exec.
    """

    beyond: int
    limits: tuple[str, ...]


def snapshot() -> Interfaces:
    """Tell the interfaces of the network namespace that the caller is in. Needs no privilege."""
    with closing(Netlink()) as kernel:
        return Interfaces(kernel.links(), kernel.addresses(), kernel.routes())


def mirror(host: Interfaces) -> Mirror:
    """Make the host's interfaces in the fresh network namespace that the calling thread is in.

    Needs CAP_NET_ADMIN and CAP_SYS_ADMIN over that namespace, as whoever unshared it has, with a user namespace too.
    An interface, address or route that can't be made is named in `limits`; only a loopback that can't be is an OSError.
    """
    modules = _modules()
    with closing(Netlink()) as inside:
        beyond, outside = _second_namespace()
        with closing(outside):
            try:
                limits = _Mirroring(host, inside, outside, beyond).limits()
            except BaseException:
                os.close(beyond)
                raise
    loaded = sorted(_modules() - modules)
    if loaded:
        limits.append(f"The host's kernel loaded what the rehearsal's network needs: {', '.join(loaded)}.")
    return Mirror(beyond, tuple(limits))


class _Mirroring:
    """One run of `mirror`. What counts in the end is what is observed; why a step failed only explains it."""

    def __init__(self, host: Interfaces, inside: Netlink, outside: Netlink, beyond: int) -> None:
        """Bring up the loopback, without which a rehearsal means nothing."""
        self._inside, self._outside, self._beyond = inside, outside, beyond
        self._host = host._replace(routes=tuple(sorted(host.routes, key=lambda route: route.indirect))[:MOST_ROUTES])
        self._left_out = len(host.routes) - len(self._host.routes)
        self._names = {link.ifindex: link.name for link in host.links}
        self._reasons: dict[str, str] = {}
        (loopback,) = (link.ifindex for link in inside.links() if link.name == "lo")
        inside.set_flags(loopback, IFF_UP, IFF_UP)

    def limits(self) -> list[str]:
        """Make everything; tell in sentences what is not as on the host."""
        there = {link.name for link in self._inside.links()}
        missing = [link for link in self._host.links if link.name not in there]
        for link in missing:
            self._attempt(_link_label(link), self._make, link)
        inside = {link.name: link.ifindex for link in self._inside.links()}
        indexes = {link.ifindex: inside[link.name] for link in self._host.links if link.name in inside}
        self._join_bridges(indexes)
        self._bring_up([link for link in missing if link.ifindex in indexes], indexes)
        self._give_addresses(indexes)
        self._give_routes(indexes)
        return self._stand_ins(missing) + self._differences()

    def _attempt(self, label: str, step: Callable[[_T], None], value: _T) -> None:
        """Take a step; keep why it failed. What exists already is as good."""
        try:
            step(value)
        except OSError as error:
            if error.errno != errno.EEXIST:
                self._reasons.setdefault(label, error.strerror or str(error))

    def _make(self, link: Link) -> None:
        """Make one interface, with the host's index if it is free (link-local scopes are written with it)."""
        try:
            self._make_as(link)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.EBUSY):
                raise
            self._make_as(link._replace(ifindex=0))

    def _make_as(self, link: Link) -> None:
        """Make it as a veth pair; as a dummy, where nothing but silence answers, if the kernel has only that."""
        if link.kind in _SAME_KIND:
            self._inside.create(link, link.kind)
            return
        try:
            self._inside.create(link, "veth", Peer(_peer_name(link), self._beyond))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._inside.create(link, "dummy")

    def _join_bridges(self, indexes: dict[int, int]) -> None:
        bridges = {link.ifindex for link in self._host.links if link.kind == "bridge"}
        for link in self._host.links:
            if link.master in bridges & set(indexes) and link.ifindex in indexes:
                ports = (indexes[link.ifindex], indexes[link.master])
                self._attempt(_link_label(link), lambda pair: self._inside.set_master(*pair), ports)

    def _bring_up(self, links: list[Link], indexes: dict[int, int]) -> None:
        """Bring up what is up on the host; the other end too where the host has a carrier."""
        peers = {link.name: link.ifindex for link in self._outside.links()}
        for link in links:
            index, peer = indexes[link.ifindex], peers.get(_peer_name(link))
            # Neither is an effect that anybody could see missing, and a kernel without IPv6 refuses both.
            for nicety in (self._inside.stop_generating_addresses, self._inside.give_up_early):
                self._attempt("", nicety, index)
            if peer and link.flags & IFF_RUNNING:
                self._attempt(_link_label(link), lambda number: self._outside.set_flags(number, IFF_UP, IFF_UP), peer)
            wanted = (index, link.flags, IFF_UP | IFF_MULTICAST)
            self._attempt(_link_label(link), lambda flags: self._inside.set_flags(*flags), wanted)
        self._await_carriers()

    def _await_carriers(self) -> None:
        """Wait for what the kernel tells of carriers a little late; a fact gathered before would be wrong."""
        wanted = {link.name: link for link in self._host.links}
        deadline = time.monotonic() + _CARRIER_WAIT_S
        while time.monotonic() < deadline:
            pairs = [(wanted[link.name], link) for link in self._inside.links() if link.name in wanted]
            late = [inside.ifindex for host, inside in pairs if not _passes_alike(host, inside)]
            if not late:
                return
            for index in late:
                self._attempt("", self._inside.settle, index)
            time.sleep(0.002)

    def _give_addresses(self, indexes: dict[int, int]) -> None:
        """Give the host's addresses; take away those that only the fresh namespace has (::1 where IPv6 is off)."""
        wanted = [
            address._replace(ifindex=indexes[address.ifindex])
            for address in self._host.addresses
            if address.ifindex in indexes
        ]
        known = {(address.ifindex, str(address)) for address in wanted}
        for address in self._inside.addresses():
            if (address.ifindex, str(address)) not in known:
                self._attempt("", self._inside.remove_address, address)
        for address in wanted:
            self._attempt(_address_label(address, self._names), self._inside.add_address, address)

    def _give_routes(self, indexes: dict[int, int]) -> None:
        """Give the host's routes, those through a gateway last: the gateway must be within reach by then."""
        moved = any(before != after for before, after in indexes.items())
        for route in self._host.routes:
            if route.several and moved:
                continue  # its hops name interfaces by their index on the host
            if route.ifindex in indexes or not route.ifindex:
                mirrored = route._replace(ifindex=indexes.get(route.ifindex, 0))
                self._attempt(_route_label(route, self._names), self._inside.add_route, mirrored)

    def _stand_ins(self, made: list[Link]) -> list[str]:
        """Name what is there by name and address, but is of another kind."""
        others = [link for link in made if link.kind not in _LIKE_HARDWARE or link.hardware != ETHERNET]
        if not others:
            return []
        named = ", ".join(f"{link.name} ({link.kind or f'hardware type {link.hardware}'})" for link in others)
        return [f"In the rehearsal, plain Ethernet interfaces of the same name and addresses stand in for {named}."]

    def _differences(self) -> list[str]:
        """Name what the host has and the rehearsal has not, or not so."""
        with_names = _labels(self._host)
        there = _labels(Interfaces(self._inside.links(), self._inside.addresses(), self._inside.routes()))
        sentences = []
        for label in sorted({label for label, _ in with_names - there}):
            reason = f": {self._reasons[label]}" if label in self._reasons else ""
            sentences.append(f"In the rehearsal, {label} is missing or not as on the host{reason}.")
        if self._left_out:
            sentences.append(f"{self._left_out} of the host's routes are missing in the rehearsal: too many to copy.")
        return sentences


def _peer_name(link: Link) -> str:
    return f"peer{link.ifindex}"


def _passes_alike(host: Link, inside: Link) -> bool:
    """Tell whether the two agree on having a carrier; a state that the host's driver doesn't know can't be had."""
    known = host.state != OPERATIONAL or inside.state == OPERATIONAL
    return known and host.flags & IFF_RUNNING == inside.flags & IFF_RUNNING


def _link_label(link: Link) -> str:
    return f"the interface {link.name}"


def _address_label(address: Address, names: dict[int, str]) -> str:
    return f"the address {address} of {names.get(address.ifindex, '?')}"


def _route_label(route: Route, names: dict[int, str]) -> str:
    through = f" through {names[route.ifindex]}" if route.ifindex in names else ""
    return f"the route to {route}{through}"


def _labels(interfaces: Interfaces) -> frozenset[tuple[str, object]]:
    """Name everything, each with what must be the same: interfaces by name, since indexes may differ."""
    names = {link.ifindex: link.name for link in interfaces.links}
    found: list[tuple[str, object]] = []
    for link in interfaces.links:
        mac = link.mac if link.hardware == ETHERNET else b""
        same = (mac, link.mtu, link.flags & (IFF_UP | IFF_RUNNING), names.get(link.master))
        found.append((_link_label(link), same))
    found += [(_address_label(address, names), address.scope) for address in interfaces.addresses]
    found += [(_route_label(route, names), route._replace(ifindex=0)) for route in interfaces.routes]
    return frozenset(found)


def _second_namespace() -> tuple[int, Netlink]:
    """Make a network namespace for the other ends, and open a conversation with the kernel about it."""
    home = _own_namespace()
    try:
        call("unshare", _NEWNET, path="a second network namespace")
        try:
            beyond = _own_namespace()
            return beyond, Netlink()
        finally:
            call("setns", home, _NEWNET, path="the rehearsal's network namespace")
    finally:
        os.close(home)


def _own_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _modules() -> frozenset[str]:
    """The kernel's loaded modules: making an interface may load its driver, which stays."""
    try:
        with open("/proc/modules", encoding="ascii", errors="replace") as lines:
            return frozenset(line.split(" ", 1)[0] for line in lines)
    except OSError:
        return frozenset()
