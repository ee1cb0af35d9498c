"""What a rehearsed command may reach, and what it did reach: the rules of the egress proxy, as values.

The proxy itself, with its sockets and threads, is `backout.host.proxy`. HTTP's rules are those of RFC 9110 and 9112.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

MOST_NAMED = 12
"""How many destinations a sentence of `limits` names before it counts the rest."""

WAY_OUT_LIMIT = (
    "Only programs that honour http_proxy had a way out of the rehearsal. One that drops its environment (env -i), "
    "speaks ssh or asks DNS itself found no network, and may have gone on without it: `apt-get update` exits 0 then."
)
"""What is always to be said of a rehearsal with `--network packages`."""

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_HOST = re.compile(r"[a-z0-9_.-]{1,253}|[0-9a-f:.]{2,45}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VISIBLE = re.compile(r"[!-~]*")
_BETWEEN_NEIGHBOURS = (
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
)
_OF_A_BODY = ("content-length", "transfer-encoding", "expect")
_NOT_FORWARDED = frozenset((*_BETWEEN_NEIGHBOURS, *_OF_A_BODY, "host"))
"""Headers between two neighbours (RFC 9110, 7.6.1), and those of a body, which a GET or HEAD has none of here."""


class Destination(NamedTuple):
    """A host and port that a rehearsal may reach, and who says so: a file, a variable, a package manager's default."""

    host: str
    port: int
    source: str


class Reached(NamedTuple):
    """A destination that was connected to, how often, and how many bytes went out to it."""

    host: str
    port: int
    connections: int
    sent_bytes: int


class Refused(NamedTuple):
    """A destination that nothing allows, and how often it was asked for."""

    host: str
    port: int
    times: int


class Traffic(NamedTuple):
    """What went through the proxy, and what did not."""

    reached: tuple[Reached, ...] = ()
    refused: tuple[Refused, ...] = ()


class Request(NamedTuple):
    """What a client asks of a proxy: a tunnel (CONNECT), or one resource; `path` and `headers` are for the latter."""

    method: str
    host: str
    port: int
    version: str
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def tunnel(self) -> bool:
        """Whether it asks for a connection rather than a resource."""
        return self.method == "CONNECT"


class ProxyAddress(NamedTuple):
    """A proxy that the host itself has to go through; `authorization` is the header's value, or empty."""

    host: str
    port: int
    authorization: str = ""


class Upstream(NamedTuple):
    """How the host itself gets out: for plain HTTP, for tunnels, and which names it reaches directly."""

    http: ProxyAddress | None = None
    https: ProxyAddress | None = None
    direct: tuple[str, ...] = ()

    def way_to(self, request: Request) -> ProxyAddress | None:
        """Name the proxy on the way; None for a direct connection."""
        if any(_covers(entry, request.host, request.port) for entry in self.direct):
            return None
        return self.https if request.tunnel else self.http


def parse_destination(text: str, source: str) -> Destination:
    """Read `host:port`, as in `network_allow`; an IPv6 address goes in brackets. ValueError says what is wrong."""
    host, separator, port = text.strip().rpartition(":")
    host = normal_host(host)
    if not separator or not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ValueError(f"{text!r} is not host:port")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} is not a host name or address")
    return Destination(host, int(port), source)


def normal_host(host: str) -> str:
    """Write a host the one way in which hosts are compared."""
    return host.lower().strip("[]").rstrip(".")


def parse_request(head: bytes) -> Request:
    """Read a request's head, up to its empty line. ValueError says what is wrong with it."""
    line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, version = [*line.split(" "), "", ""][:3]
    if not _TOKEN.fullmatch(method) or version not in ("HTTP/1.0", "HTTP/1.1"):
        raise ValueError(f"{line[:200]!r} is not an HTTP/1 request line")
    if method == "CONNECT":
        to = parse_destination(target, "")
        return Request(method, to.host, to.port, version)
    if not _VISIBLE.fullmatch(target):  # urlsplit would drop a line feed, and the server would see one
        raise ValueError(f"{target[:200]!r} has characters that an address must not have")
    url = urlsplit(target)
    if url.scheme.lower() != "http" or not url.hostname:
        raise ValueError(f"{target[:200]!r} is not an absolute http:// address, which is what a proxy is asked for")
    to = parse_destination(f"[{url.hostname}]:{url.port or 80}", "")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Request(method, to.host, to.port, version, path, tuple(_header(field) for field in rest))


def forwarded_head(request: Request, via: ProxyAddress | None = None) -> bytes:
    """Write the head that goes on to the server, or to the host's own proxy: one request, then the connection ends.

    The Host header is made from the address that was judged, so that an allowed name can't stand in for another.
    """
    authority = _authority(request.host, request.port if request.port != 80 else None)  # noqa: PLR2004 - http's port
    target = f"http://{authority}{request.path}" if via else request.path
    named = {
        token.strip().lower()
        for name, value in request.headers
        if name.lower() == "connection"
        for token in value.split(",")
    }
    lines = [f"{request.method} {target} {request.version}", f"Host: {authority}"]
    lines += [f"{n}: {v}" for n, v in request.headers if n.lower() not in _NOT_FORWARDED and n.lower() not in named]
    if via and via.authorization:
        lines.append(f"Proxy-Authorization: {via.authorization}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def answered_head(head: bytes) -> bytes:
    """Write the head of the server's answer as the client is to see it: the connection ends after this one.

    A server that was asked to close need not say that it will; the client would then lose its next request.
    """
    line, *fields = head.split(b"\r\n")
    dropped = (b"connection", b"keep-alive", b"proxy-connection")
    kept = [field for field in fields if field.split(b":", 1)[0].strip().lower() not in dropped]
    return b"\r\n".join([line, *kept, b"Connection: close", b"", b""])


def tunnel_head(request: Request, via: ProxyAddress) -> bytes:
    """Write the CONNECT that asks the host's own proxy for a tunnel."""
    authority = _authority(request.host, request.port)
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if via.authorization:
        lines.append(f"Proxy-Authorization: {via.authorization}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upstream_of(environ: Mapping[str, str]) -> Upstream:
    """Read the host's own way out from http_proxy, https_proxy, all_proxy and no_proxy, in either case.

    A proxy that is itself spoken to in TLS, or by SOCKS, is a ValueError: the rehearsal can't go through it.
    """
    get = {name: environ.get(name) or environ.get(name.upper()) or "" for name in _PROXY_VARIABLES}
    direct = tuple(entry.strip().lower() for entry in get["no_proxy"].split(",") if entry.strip())
    return Upstream(
        _proxy_address(get["http_proxy"] or get["all_proxy"]),
        _proxy_address(get["https_proxy"] or get["all_proxy"]),
        direct,
    )


def proxy_environment(port: int) -> dict[str, str]:
    """Give the variables that lead pip, uv, npm, git, curl and apt to the proxy on the sandbox's loopback.

    Set them over the command's own. For checks set only the `no_proxy` pair to `*`: they judge this host alone.
    """
    proxy, direct = f"http://127.0.0.1:{port}", "localhost,127.0.0.1,::1"
    found = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy)
    return {**found, "no_proxy": direct, "NO_PROXY": direct}


def limits_from(traffic: Traffic) -> tuple[str, ...]:
    """Tell in sentences what was reached, and so possibly changed; what was refused; and what a proxy can't see."""
    sentences = []
    if traffic.reached:
        named = [
            f"{_authority(to.host, to.port)} ({to.connections}x, {to.sent_bytes} bytes sent)" for to in traffic.reached
        ]
        sentences.append(f"The rehearsal reached, and may have changed: {_first(named)}.")
    if traffic.refused:
        named = [f"{_authority(to.host, to.port)} ({to.times}x)" for to in traffic.refused]
        allow = 'to let one through, add it to network_allow in backout.toml, as "host:port"'
        sentences.append(f"The rehearsal was kept from reaching: {_first(named)}; {allow}.")
    return (*sentences, WAY_OUT_LIMIT)


def _first(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _authority(host: str, port: int | None) -> str:
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


def _header(field: str) -> tuple[str, str]:
    name, separator, value = field.partition(":")
    if not separator or not _TOKEN.fullmatch(name) or "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"{field[:200]!r} is not a header")
    return name, value.strip(" \t")


def _proxy_address(text: str) -> ProxyAddress | None:
    if not text:
        return None
    url = urlsplit(text if "://" in text else f"http://{text}")
    if url.scheme.lower() != "http" or not url.hostname:
        raise ValueError(
            f"the host's own proxy is {url.scheme}://{url.hostname or ''}: only http:// ones can be gone through"
        )
    authorization = ""
    if url.username:
        pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    return ProxyAddress(url.hostname, url.port or 80, authorization)


def _covers(entry: str, host: str, port: int) -> bool:
    """Match one entry of no_proxy, as curl does: `*`, or a domain and all below it, with or without a port."""
    name, separator, number = entry.rpartition(":")
    if separator and number.isdigit() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        entry = name
    entry = normal_host(entry).lstrip(".")
    return entry in ("*", host) or host.endswith(f".{entry}")
