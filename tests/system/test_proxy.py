"""The egress proxy over real sockets: what is allowed passes byte for byte, nothing else does, and nothing is left."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backout.host import proxy as proxy_module
from backout.host.egress import ProxyAddress, Reached, Refused, Upstream
from backout.host.proxy import DIRECT, Proxy, listen

BIG = os.urandom(1 << 20) * 4


class Site(BaseHTTPRequestHandler):
    """A web site that says what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the request, or with something big."""
        body = BIG if self.path == "/big" else f"{self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def site() -> Iterator[tuple[str, int]]:
    """A real web server on the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield "127.0.0.1", server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def far_end() -> Iterator[socket.socket]:
    """A listening socket whose other side the test plays itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextlib.contextmanager
def serving(*allowed: tuple[str, int], upstream: Upstream = DIRECT) -> Iterator[tuple[Proxy, int]]:
    """Run a proxy for the length of the block; give it and its port."""
    listener = listen()
    port = listener.getsockname()[1]
    proxy = Proxy(listener, allowed, upstream)
    proxy.start()
    try:
        yield proxy, port
    finally:
        proxy.stop()


def tunnel(port: int, to: tuple[str, int]) -> tuple[socket.socket, bytes]:
    """Ask for a tunnel; give the connection and the answer's head."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(f"CONNECT {to[0]}:{to[1]} HTTP/1.1\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    return connection, head


def everything(connection: socket.socket) -> bytes:
    """Read to the end."""
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def ask(port: int, request: bytes) -> bytes:
    """Send bytes, read all of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        return everything(connection)


def test_an_allowed_resource_is_fetched(site: tuple[str, int]) -> None:
    """This is how apt fetches; several requests on one kept connection are asked anew, each judged by itself."""
    with serving(site) as (proxy, port):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for path in ("/a?b=c", "/big"):
            client.request("GET", f"http://127.0.0.1:{site[1]}{path}", headers={"Host": "evil.example"})
            answer = client.getresponse()
            expected = BIG if path == "/big" else f"/a?b=c 127.0.0.1:{site[1]}".encode()
            assert (answer.status, answer.read()) == (200, expected)
        client.request("HEAD", f"http://127.0.0.1:{site[1]}/")
        assert client.getresponse().status == 200
        client.close()
    (reached,) = proxy.traffic().reached
    assert (reached.host, reached.port, reached.connections) == (*site, 3)
    assert reached.sent_bytes > 100


def test_pipelined_requests_get_the_first_answer_whole(site: tuple[str, int]) -> None:
    """Apt pipelines; closing over its unread requests would reset the connection and cut the answer short."""
    request = f"GET http://127.0.0.1:{site[1]}/big HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with serving(site) as (_, port):
        answer = ask(port, request * 50)
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.endswith(BIG)


def test_a_tunnel_carries_both_ways_at_once(far_end: socket.socket) -> None:
    """HTTP/2 clients send while they receive; a proxy that does one after the other hangs with both buffers full."""
    to = far_end.getsockname()
    with serving(to) as (proxy, port):
        client, head = tunnel(port, to)
        server, _ = far_end.accept()
        assert head.startswith(b"HTTP/1.1 200 ")
        with client, server:
            senders = [threading.Thread(target=send_and_end, args=(side,)) for side in (client, server)]
            got: dict[str, bytes] = {}
            readers = [
                threading.Thread(target=lambda name=name, side=side: got.update({name: everything(side)}))
                for name, side in (("client", client), ("server", server))
            ]
            for thread in [*senders, *readers]:
                thread.start()
            for thread in [*senders, *readers]:
                thread.join()
    assert got == {"client": BIG, "server": BIG}
    assert proxy.traffic().reached == (Reached(to[0], to[1], 1, len(BIG)),)


def send_and_end(side: socket.socket) -> None:
    """Send a lot, then say that this was all."""
    side.sendall(BIG)
    side.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda host, port: f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n",
        lambda host, port: f"GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
        lambda host, port: f"POST http://{host}:{port}/ HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_what_is_not_allowed_is_answered_and_recorded(
    site: tuple[str, int], request_of: Callable[[str, int], str]
) -> None:
    """The program sees why, the report too; an allowed host on another port is another destination."""
    with serving((site[0], site[1] + 1)) as (proxy, port):
        answers = [ask(port, request_of(*site).encode()) for _ in range(2)]
    assert all(answer.startswith(b"HTTP/1.1 403 Not opened for this rehearsal\r\n") for answer in answers)
    assert f"may not reach {site[0]}:{site[1]}; network_allow".encode() in answers[0]
    assert proxy.traffic().refused == (Refused(*site, 2),)
    assert proxy.traffic().reached == ()


def test_nothing_is_sent_over_plain_http(site: tuple[str, int]) -> None:
    """A rehearsal fetches; a POST in clear text changes something there."""
    with serving(site) as (proxy, port):
        answer = ask(port, f"POST http://127.0.0.1:{site[1]}/ HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".encode())
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert proxy.traffic().refused == (Refused(*site, 1),)


def test_no_request_is_a_bad_request() -> None:
    """Something else than HTTP gets an answer too, and no connection."""
    with serving() as (proxy, port):
        assert ask(port, b"\x16\x03\x01\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert ask(port, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert ask(port, b"A" * 4 * proxy_module.HEAD_BYTES).startswith(b"HTTP/1.1 400 ")
    assert proxy.traffic() == ((), ())


def test_a_destination_that_does_not_answer_is_named(far_end: socket.socket) -> None:
    """A mirror that is down must not look like a refusal of ours."""
    to = far_end.getsockname()
    far_end.close()
    with serving(to, ("no-such-host.invalid", 443)) as (proxy, port):
        assert b"was not reached from the host: Connection refused." in ask(
            port, f"GET http://127.0.0.1:{to[1]}/ HTTP/1.1\r\n\r\n".encode()
        )
        assert ask(port, b"CONNECT no-such-host.invalid:443 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 502 ")
    assert proxy.traffic().reached == ()


def test_the_hosts_own_proxy_is_gone_through(site: tuple[str, int]) -> None:
    """Chained to a second proxy, here one of ours; its refusal is told as its refusal."""
    with serving(site) as (far, far_port):
        via = ProxyAddress("127.0.0.1", far_port, "Basic eDp5")
        with serving(site, ("else.invalid", 443), upstream=Upstream(via, via)) as (near, port):
            answer = ask(port, f"GET http://127.0.0.1:{site[1]}/a HTTP/1.1\r\n\r\n".encode())
            assert answer.endswith(f"/a 127.0.0.1:{site[1]}".encode())
            connection, head = tunnel(port, site)
            with connection:
                assert head.startswith(b"HTTP/1.1 200 ")
                connection.sendall(b"GET /b HTTP/1.0\r\n\r\n")
                assert b"/b" in everything(connection)
            refused = ask(port, b"CONNECT else.invalid:443 HTTP/1.1\r\n\r\n")
            assert b"the host's own proxy says 'HTTP/1.1 403 Not opened" in refused
    assert [reached.connections for reached in near.traffic().reached] == [2]
    assert far.traffic().refused == (Refused("else.invalid", 443, 1),)


def test_only_so_many_are_served_at_once(far_end: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that opens thousands of connections must not take our descriptors; it waits, and is served then."""
    monkeypatch.setattr(proxy_module, "MOST_CONNECTIONS", 1)
    to = far_end.getsockname()
    with serving(to) as (proxy, port):
        first, _ = tunnel(port, to)
        with first, socket.create_connection(("127.0.0.1", port), timeout=20) as second:
            second.sendall(f"CONNECT {to[0]}:{to[1]} HTTP/1.1\r\n\r\n".encode())
            assert proxy.traffic().reached == (Reached(to[0], to[1], 1, 0),)
            far_end.accept()[0].close()
            first.close()
            assert second.recv(12) == b"HTTP/1.1 200"
            far_end.accept()[0].close()


@pytest.mark.parametrize("state", ["idle", "silent client", "open tunnel", "connecting"])
def test_stop_ends_everything(state: str, far_end: socket.socket) -> None:
    """Law 1: after a rehearsal no socket, no thread of it is left, whatever the command was doing."""
    descriptors, threads = set(os.listdir("/proc/self/fd")), set(threading.enumerate())
    to = far_end.getsockname()
    with contextlib.ExitStack() as kept:
        if state == "connecting":  # a full backlog leaves the next connection waiting
            kept.enter_context(socket.socket(fileno=os.dup(far_end.fileno()))).listen(0)
            kept.enter_context(socket.create_connection(to))
        with serving(to) as (_, port):
            if state in ("silent client", "connecting"):
                client = kept.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                if state == "connecting":
                    client.sendall(f"CONNECT {to[0]}:{to[1]} HTTP/1.1\r\n\r\n".encode())
            elif state == "open tunnel":
                kept.enter_context(tunnel(port, to)[0])
            until_as_many_as(2 if state == "idle" else 3)
        assert set(threading.enumerate()) == threads
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=20)
    assert set(os.listdir("/proc/self/fd")) == descriptors


def until_as_many_as(threads: int) -> None:
    """Wait until the proxy has taken up the connection: it does so in threads of its own."""
    while threading.active_count() < threads:
        threading.Event().wait(0.001)
