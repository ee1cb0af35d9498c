"""The egress proxy's rules: who is asked for, what goes on, what is said afterwards."""

from __future__ import annotations

import pytest

from backout.host.egress import (
    Destination,
    ProxyAddress,
    Reached,
    Refused,
    Request,
    Traffic,
    Upstream,
    answered_head,
    forwarded_head,
    limits_from,
    parse_destination,
    parse_request,
    proxy_environment,
    tunnel_head,
    upstream_of,
)


def test_a_tunnel_is_asked_for_by_host_and_port() -> None:
    """Names are compared in one spelling: a capital or a final dot must not get around the list."""
    assert parse_request(b"CONNECT PyPI.org.:443 HTTP/1.1\r\nHost: else\r\n") == Request(
        "CONNECT", "pypi.org", 443, "HTTP/1.1"
    )
    assert parse_request(b"CONNECT [2001:DB8::1]:8443 HTTP/1.0")[1:3] == ("2001:db8::1", 8443)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET / HTTP/1.1",
        b"GET http://x/ HTTP/2",
        b"GET https://x/ HTTP/1.1",
        b"GET ftp://x/ HTTP/1.1",
        b"CONNECT pypi.org HTTP/1.1",
        b"CONNECT pypi.org:0 HTTP/1.1",
        b"CONNECT pypi.org:65536 HTTP/1.1",
        b"CONNECT a\x00b:443 HTTP/1.1",
        b"CONNECT a/b:443 HTTP/1.1",
        b"GET http://x:y/ HTTP/1.1",
        b"GET http://x/\nHost:evil HTTP/1.1",
        b"GET http://x/ HTTP/1.1\r\nno header",
        b"GET http://x/ HTTP/1.1\r\nA: b\nHost: evil",
        b"GET http://x/ HTTP/1.1\r\n folded: header",
        b"\x16\x03\x01 not HTTP at all",
    ],
)
def test_what_is_no_proxy_request_is_refused(head: bytes) -> None:
    """What we and the server could read in two ways would be a way around the list."""
    with pytest.raises(ValueError, match=r".+"):
        parse_request(head)


def test_a_resource_goes_on_for_the_host_that_was_judged() -> None:
    """Another Host header would reach another site on an allowed server; headers between neighbours stay here."""
    head = b"GET http://deb.example:8080/a?b=c HTTP/1.1\r\nHost: evil.example\r\nX-Hop: 1\r\nAccept: */*\r\n"
    head += b"Connection: keep-alive, X-Hop\r\nProxy-Authorization: Basic eDp5\r\nContent-Length: 3"
    expected = b"GET /a?b=c HTTP/1.1\r\nHost: deb.example:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    assert forwarded_head(parse_request(head)) == expected


def test_an_answer_says_that_it_is_the_last_on_its_connection() -> None:
    """A server asked to close need not say so; a client that is not told loses its next request."""
    head = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nconnection: keep-alive\r\nContent-Length: 3"
    assert answered_head(head) == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"


def test_the_hosts_own_proxy_is_asked_as_a_proxy() -> None:
    """Behind a company's proxy there is no other way; its password goes to it and to nobody else."""
    upstream = upstream_of({"http_proxy": "http://me:p%40ss@proxy.example:3128", "HTTPS_PROXY": "proxy2.example:8080"})
    resource, tunnel = (
        parse_request(b"GET http://deb.example HTTP/1.1"),
        parse_request(b"CONNECT pypi.org:443 HTTP/1.1"),
    )
    via = upstream.way_to(resource)
    assert via == ProxyAddress("proxy.example", 3128, "Basic bWU6cEBzcw==")
    assert forwarded_head(resource, via).startswith(
        b"GET http://deb.example/ HTTP/1.1\r\nHost: deb.example\r\nProxy-Auth"
    )
    assert upstream.way_to(tunnel) == ProxyAddress("proxy2.example", 8080)
    assert tunnel_head(tunnel, ProxyAddress("p", 1)) == b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\n\r\n"


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False),
        ("*", True),
        ("example.com", True),
        (".example.com", True),
        ("other.org, EXAMPLE.com", True),
        ("ample.com", False),
        ("example.com:443", True),
        ("example.com:80", False),
        ("::1", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(no_proxy: str, direct: bool) -> None:
    """An index inside the company is often reachable only directly."""
    upstream = upstream_of({"https_proxy": "http://proxy.example", "no_proxy": no_proxy})
    assert (upstream.way_to(Request("CONNECT", "pip.example.com", 443, "HTTP/1.1")) is None) is direct


def test_a_proxy_that_cannot_be_gone_through_is_named() -> None:
    """Going around it silently would be wrong, and failing without a word too."""
    with pytest.raises(ValueError, match=r"socks5://proxy\.example"):
        upstream_of({"all_proxy": "socks5://proxy.example:1080"})
    assert upstream_of({}) == Upstream()


def test_the_environment_leads_to_the_proxy_and_not_to_itself() -> None:
    """Tools differ in which case they read; the application's own loopback never goes through."""
    environment = proxy_environment(4711)
    assert {environment[name] for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")} == {
        "http://127.0.0.1:4711"
    }
    assert environment["no_proxy"] == environment["NO_PROXY"] == "localhost,127.0.0.1,::1"


def test_limits_name_what_was_reached_and_what_was_refused() -> None:
    """Law 1: a destination that was opened may have been changed; what was kept back may be why something differs."""
    traffic = Traffic((Reached("pypi.org", 443, 2, 900),), tuple(Refused(f"h{n:02}.example", 80, 1) for n in range(14)))
    reached, refused, way_out = limits_from(traffic)
    assert reached == "The rehearsal reached, and may have changed: pypi.org:443 (2x, 900 bytes sent)."
    assert "h11.example:80 (1x) and 2 more; " in refused
    assert "network_allow" in refused
    assert "env -i" in way_out
    assert limits_from(Traffic()) == (way_out,)


def test_an_allowed_destination_is_host_and_port() -> None:
    """A name alone would open ports that nobody thought of."""
    assert parse_destination(" Git.example.com:443 ", "backout.toml") == Destination(
        "git.example.com", 443, "backout.toml"
    )
    with pytest.raises(ValueError, match="not host:port"):
        parse_destination("git.example.com", "backout.toml")
