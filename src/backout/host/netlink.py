"""A small rtnetlink client (rtnetlink(7)): what the kernel knows of links, addresses and routes, and making them.

A client talks to the network namespace in which it was opened, wherever its process goes afterwards. Every refusal
is an OSError with the kernel's number, what was asked, and the kernel's own words where it gives any. Numbers are
those of linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h and neighbour.h.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

IFF_UP, IFF_RUNNING, IFF_MULTICAST = 0x1, 0x40, 0x1000
OPERATIONAL = 6
"""IF_OPER_UP: packets pass (RFC 2863)."""
ETHERNET = 1
"""ARPHRD_ETHER, the hardware of a link that has a MAC address."""
IFA_F_NODAD, IFA_F_TENTATIVE, IFA_F_DADFAILED = 0x02, 0x40, 0x08
TABLE_LOCAL = 255
"""RT_TABLE_LOCAL, the table that the kernel keeps by itself."""

_NEWLINK, _GETLINK, _NEWADDR, _DELADDR, _GETADDR, _NEWROUTE, _GETROUTE, _SETNEIGHTBL = 16, 18, 20, 21, 22, 24, 26, 67
_REQUEST, _ACK, _DUMP, _REPLACE, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x300, 0x100, 0x200, 0x400
_INTERRUPTED, _CAPPED, _EXPLAINED = 0x10, 0x100, 0x200
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11

_IFLA_ADDRESS, _IFLA_NAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_QUEUE, _IFLA_STATE = 1, 3, 4, 10, 13, 16
_IFLA_INFO, _IFLA_FAMILIES, _IFLA_NAMESPACE, _INET6_GENERATE = 18, 26, 28, 8
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_LIFETIME, _IFA_FLAGS, _IFA_METRIC = 1, 2, 3, 4, 6, 8, 9
_RTA_LINK, _RTA_GATEWAY, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = 4, 5, 9, 15, 18
_RTA_KEPT = frozenset((1, 2, _RTA_GATEWAY, 6, 7, 8, _RTA_MULTIPATH, _RTA_VIA, 20))
"""What makes a route: to, from, gateway, metric, preferred source, metrics, hops, via, preference."""
_ROUTE_CLONED, _ROUTE_ONLINK = 0x200, 4

_HEADER_BYTES = 16
_RECEIVE_BYTES = 1 << 18
_TRIES = 5
_TIMEOUT_S = 30.0

Attributes = tuple[tuple[int, bytes], ...]


class Link(NamedTuple):
    """One interface. `kind` is the kernel's word for it, empty for hardware; `master` the index of its bridge."""

    ifindex: int
    name: str
    kind: str
    hardware: int
    flags: int
    mac: bytes
    mtu: int
    queue: int
    master: int
    state: int


class Address(NamedTuple):
    """One address of the link with that index; `attributes` are its exact bytes as the kernel gave them."""

    family: int
    ifindex: int
    prefix: int
    scope: int
    flags: int
    attributes: Attributes

    @property
    def local(self) -> bytes:
        """The host's own end of it."""
        found = dict(self.attributes)
        return found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS, b"")

    def __str__(self) -> str:
        """As `ip addr` writes it: 192.0.2.2/24."""
        return f"{socket.inet_ntop(self.family, self.local)}/{self.prefix}"


class Route(NamedTuple):
    """One route out of the link with that index (0: a route over several links, or none)."""

    family: int
    ifindex: int
    prefix: int
    source_prefix: int
    service: int
    table: int
    protocol: int
    scope: int
    type: int
    flags: int
    attributes: Attributes

    @property
    def indirect(self) -> bool:
        """Whether it needs another route first, to reach its gateway."""
        return any(kind in (_RTA_GATEWAY, _RTA_MULTIPATH, _RTA_VIA) for kind, _ in self.attributes)

    @property
    def several(self) -> bool:
        """Whether it spreads over several links, which its attributes name by index."""
        return any(kind == _RTA_MULTIPATH for kind, _ in self.attributes)

    def __str__(self) -> str:
        """As `ip route` writes its destination: default, or 198.51.100.0/24."""
        to = dict(self.attributes).get(1)
        return f"{socket.inet_ntop(self.family, to)}/{self.prefix}" if to else "default"


class Peer(NamedTuple):
    """The other end of a veth pair: its name, and a descriptor of the network namespace where it is to be."""

    name: str
    namespace: int


class Netlink:
    """A conversation with the kernel about one network namespace. For one thread at a time."""

    def __init__(self) -> None:
        """Open it in the calling thread's network namespace."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = itertools.count(1)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.bind((0, 0))
        for option in (_CAP_ACK, _EXT_ACK):  # explanations, instead of our own words sent back
            self._socket.setsockopt(_SOL_NETLINK, option, 1)

    def close(self) -> None:
        """End the conversation; what was made stays."""
        self._socket.close()

    def links(self) -> tuple[Link, ...]:
        """List every interface."""
        return tuple(_link(body) for body in self._dump(_GETLINK, 16, "list the interfaces"))

    def settle(self, index: int) -> None:
        """Make the kernel see to an interface's carrier now; asking for that one alone does so from Linux 6.8 on."""
        self._ask(_GETLINK, 0, _link_header(index), f"look at interface {index}")

    def addresses(self) -> tuple[Address, ...]:
        """List every IPv4 and IPv6 address."""
        found = (_address(body) for body in self._dump(_GETADDR, 8, "list the addresses"))
        return tuple(address for address in found if address.family in (socket.AF_INET, socket.AF_INET6))

    def routes(self) -> tuple[Route, ...]:
        """List every IPv4 and IPv6 route that somebody, or an address, has set: no cached ones, none of table local."""
        found = (_route(body) for body in self._dump(_GETROUTE, 12, "list the routes"))
        return tuple(route for route in found if route is not None)

    def create(self, link: Link, kind: str, peer: Peer | None = None) -> None:
        """Make an interface with the name, MAC, MTU and queue length of `link`, down; index 0: any."""
        data = b""
        if peer is not None:
            ends = _attribute(_IFLA_NAMESPACE, struct.pack("=i", peer.namespace)) + _name(peer.name)
            data = _attribute(_INFO_DATA, _attribute(_VETH_PEER, _link_header(0) + ends))
        body = _link_header(link.ifindex) + _name(link.name) + _attribute(_IFLA_MTU, struct.pack("=I", link.mtu))
        body += _attribute(_IFLA_QUEUE, struct.pack("=I", link.queue))
        if link.hardware == ETHERNET:
            body += _attribute(_IFLA_ADDRESS, link.mac)
        body += _attribute(_IFLA_INFO, _attribute(_INFO_KIND, kind.encode() + b"\0") + data)
        self._ask(_NEWLINK, _CREATE | _EXCLUSIVE, body, f"make the {kind} interface {link.name}")

    def set_flags(self, index: int, flags: int, mask: int) -> None:
        """Set those of an interface's flags that are in `mask`: IFF_UP is what brings it up."""
        self._ask(_NEWLINK, 0, _link_header(index, flags, mask), f"change the flags of interface {index}")

    def set_master(self, index: int, master: int) -> None:
        """Make an interface a port of the bridge with the index `master`."""
        body = _link_header(index) + _attribute(_IFLA_MASTER, struct.pack("=I", master))
        self._ask(_NEWLINK, 0, body, f"make interface {index} a port of interface {master}")

    def stop_generating_addresses(self, index: int) -> None:
        """Keep the kernel from giving the interface an IPv6 address of its own when it comes up."""
        mode = _attribute(_INET6_GENERATE, b"\1")  # IN6_ADDR_GEN_MODE_NONE
        body = _link_header(index) + _attribute(_IFLA_FAMILIES, _attribute(socket.AF_INET6, mode))
        self._ask(_NEWLINK, 0, body, f"stop address generation of interface {index}")

    def give_up_early(self, index: int) -> None:
        """Make the interface find out within some hundredths of a second that nobody answers, instead of seconds."""
        probes = struct.pack("=I", 1)
        values = _attribute(1, struct.pack("=I", index)) + _attribute(5, struct.pack("=Q", 10))  # which, retry after ms
        values += _attribute(10, probes) + _attribute(11, probes)  # unicast, multicast
        for family, table in ((socket.AF_INET, b"arp_cache\0"), (socket.AF_INET6, b"ndisc_cache\0")):
            body = struct.pack("=BBH", family, 0, 0) + _attribute(1, table) + _attribute(6, values)
            self._ask(_SETNEIGHTBL, 0, body, f"shorten the neighbour search of interface {index}")

    def add_address(self, address: Address) -> None:
        """Add an address, usable at once: without IPv6's search for duplicates, and yet with its own flags."""
        asked = f"add the address {address}"
        wanted = address.flags & ~(IFA_F_TENTATIVE | IFA_F_DADFAILED)
        at_once = wanted | (IFA_F_NODAD if address.family == socket.AF_INET6 else 0)
        self._ask(_NEWADDR, _CREATE | _EXCLUSIVE, _address_body(address, at_once), asked)
        if at_once != wanted:
            self._ask(_NEWADDR, _REPLACE, _address_body(address, wanted), asked)

    def remove_address(self, address: Address) -> None:
        """Take an address away."""
        self._ask(_DELADDR, 0, _address_body(address, address.flags), f"remove the address {address}")

    def add_route(self, route: Route) -> None:
        """Add a route."""
        header = (route.family, route.prefix, route.source_prefix, route.service, 0)
        body = struct.pack("=8BI", *header, route.protocol, route.scope, route.type, route.flags)
        body += _attribute(_RTA_TABLE, struct.pack("=I", route.table))
        if route.ifindex:
            body += _attribute(_RTA_LINK, struct.pack("=I", route.ifindex))
        body += b"".join(_attribute(kind, value) for kind, value in route.attributes)
        self._ask(_NEWROUTE, _CREATE | _EXCLUSIVE, body, f"add the route to {route}")

    def _ask(self, what: int, flags: int, body: bytes, asked: str) -> None:
        """Send one change and wait for the kernel's yes."""
        for _ in self._exchange(what, flags | _ACK, body, asked):
            pass

    def _dump(self, what: int, header_bytes: int, asked: str) -> list[bytes]:
        """Ask for all of something; once more when it changed meanwhile, since then an entry may be missing."""
        for _ in range(_TRIES):
            found = list(self._exchange(what, _DUMP, bytes(header_bytes), asked))
            if not any(flags & _INTERRUPTED for flags, _ in found):
                break
        return [body for _, body in found]

    def _exchange(self, what: int, flags: int, body: bytes, asked: str) -> Iterator[tuple[int, bytes]]:
        """Send one request; give the answers' flags and bodies, up to the kernel's last word."""
        sequence = next(self._sequence)
        self._socket.send(struct.pack("=IHHII", 16 + len(body), what, flags | _REQUEST, sequence, 0) + body)
        while True:
            for kind, answer_flags, answered, answer in _messages(self._socket.recv(_RECEIVE_BYTES)):
                if answered != sequence:
                    continue  # the rest of a dump that somebody stopped reading
                if kind in (_ERROR, _DONE):
                    _raise_refusal(answer, answer_flags, asked)
                    return
                yield answer_flags, answer


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Cut a datagram into messages: type, flags, sequence number, body."""
    while len(data) >= _HEADER_BYTES:
        size, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data)
        if size < _HEADER_BYTES:
            return
        yield kind, flags, sequence, data[16:size]
        data = data[(size + 3) & ~3 :]


def _raise_refusal(answer: bytes, flags: int, asked: str) -> None:
    """Turn the kernel's no into an OSError; its yes is the number 0."""
    number = -int(struct.unpack_from("=i", answer)[0]) if len(answer) >= 4 else 0  # noqa: PLR2004 - an int's size
    if number == 0:
        return
    words = b""
    if flags & _EXPLAINED and flags & _CAPPED:
        words = dict(_attributes(answer[20:])).get(1, b"")
    explained = f" ({words.rstrip(bytes(1)).decode(errors='replace').rstrip('.')})" if words else ""
    raise OSError(number, f"the kernel does not {asked}: {os.strerror(number)}{explained}")


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut a message's tail into attributes, without the bits that only say how they are nested."""
    while len(data) >= 4:  # noqa: PLR2004 - the size of an attribute's header
        size, kind = struct.unpack_from("=HH", data)
        if size < 4:  # noqa: PLR2004 - as above
            return
        yield kind & 0x3FFF, data[4:size]
        data = data[(size + 3) & ~3 :]


def _name(name: str) -> bytes:
    return _attribute(_IFLA_NAME, os.fsencode(name) + b"\0")


def _number(data: dict[int, bytes], kind: int) -> int:
    return int(struct.unpack("=I", data[kind])[0]) if kind in data else 0


def _link_header(index: int, flags: int = 0, mask: int = 0) -> bytes:
    return struct.pack("=BBHiII", socket.AF_UNSPEC, 0, 0, index, flags, mask)


def _link(body: bytes) -> Link:
    _, _, hardware, index, flags, _ = struct.unpack_from("=BBHiII", body)
    found = dict(_attributes(body[16:]))
    kind = dict(_attributes(found.get(_IFLA_INFO, b""))).get(_INFO_KIND, b"")
    return Link(
        ifindex=index,
        name=os.fsdecode(found[_IFLA_NAME].rstrip(b"\0")),
        kind=kind.rstrip(b"\0").decode(errors="replace"),
        hardware=hardware,
        flags=flags,
        mac=found.get(_IFLA_ADDRESS, b""),
        mtu=_number(found, _IFLA_MTU),
        queue=_number(found, _IFLA_QUEUE),
        master=_number(found, _IFLA_MASTER),
        state=found.get(_IFLA_STATE, b"\0")[0],
    )


def _address(body: bytes) -> Address:
    family, prefix, flags, scope, index = struct.unpack_from("=BBBBI", body)
    found = dict(_attributes(body[8:]))
    flags = _number(found, _IFA_FLAGS) if _IFA_FLAGS in found else flags
    kept = (_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_LIFETIME, _IFA_METRIC)
    return Address(family, index, prefix, scope, flags, tuple((kind, found[kind]) for kind in kept if kind in found))


def _address_body(address: Address, flags: int) -> bytes:
    body = struct.pack("=BBBBI", address.family, address.prefix, flags & 0xFF, address.scope, address.ifindex)
    body += _attribute(_IFA_FLAGS, struct.pack("=I", flags))
    return body + b"".join(_attribute(kind, value) for kind, value in address.attributes)


def _route(body: bytes) -> Route | None:
    family, prefix, source, service, table, protocol, scope, kind, flags = struct.unpack_from("=8BI", body)
    found = list(_attributes(body[12:]))
    known = dict(found)
    table = _number(known, _RTA_TABLE) or table
    if family not in (socket.AF_INET, socket.AF_INET6) or flags & _ROUTE_CLONED or table == TABLE_LOCAL:
        return None
    return Route(
        family=family,
        ifindex=_number(known, _RTA_LINK),
        prefix=prefix,
        source_prefix=source,
        service=service,
        table=table,
        protocol=protocol,
        scope=scope,
        type=kind,
        flags=flags & _ROUTE_ONLINK,
        attributes=tuple(sorted((number, value) for number, value in found if number in _RTA_KEPT)),
    )
