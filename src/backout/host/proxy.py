"""The egress proxy: the one way out of a rehearsal's network namespace, for a list of destinations.

The listening socket is made inside the namespace, where the command finds it on the loopback; connections are served
by the process that made the rehearsal, outside, where names resolve. So nothing inside needs DNS or a route.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Collection, Iterator

from backout.host.egress import (
    Reached,
    Refused,
    Request,
    Traffic,
    Upstream,
    answered_head,
    forwarded_head,
    parse_request,
    tunnel_head,
)

MOST_CONNECTIONS = 128
"""How many are served at once; the next ones wait to be accepted. uv opens up to 50."""
MOST_REFUSED = 1000
"""How many different refused destinations are remembered: a loop inside must not fill our memory."""
HEAD_BYTES = 64 * 1024
HEAD_S, CONNECT_S, IDLE_S, LINGER_S = 30.0, 30.0, 600.0, 5.0
"""How long a request's head may take, a connection outward, a silence, and the wait for the last byte to be taken."""

DIRECT = Upstream()
"""The way out of a host that needs no proxy of its own."""

_BACKLOG = 128
_CHUNK_BYTES = 64 * 1024
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def listen() -> socket.socket:
    """Make the listening socket in the caller's network namespace, on a free port of 127.0.0.1."""
    return socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)


class Proxy:
    """Serves `listener` from threads, between `start` and `stop`.

    Only host:port pairs in `allowed` are connected to, as written (lower case); everything else is answered with 403
    and a sentence. The listener is the proxy's from here on. Fork before `start`, not after: threads don't survive it.
    """

    def __init__(
        self, listener: socket.socket, allowed: Collection[tuple[str, int]], upstream: Upstream = DIRECT
    ) -> None:
        self._listener, self._allowed, self._upstream = listener, frozenset(allowed), upstream
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._reached: dict[tuple[str, int], tuple[int, int]] = {}
        self._refused: dict[tuple[str, int], int] = {}
        self._acceptor = threading.Thread(target=self._accept, name="egress-proxy", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._listener.settimeout(None)
        self._acceptor.start()

    def stop(self) -> None:
        """End every connection and thread, and close every socket, the listener too. Returns when all are gone."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def traffic(self) -> Traffic:
        """Tell what was reached and what was refused, up to now or in all."""
        with self._lock:
            reached = (Reached(*to, *counts) for to, counts in sorted(self._reached.items()))
            return Traffic(tuple(reached), tuple(Refused(*to, times) for to, times in sorted(self._refused.items())))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            self._slots.acquire()
            try:
                client, _ = self._listener.accept()
            except OSError:  # stopped; or out of descriptors, or a client that went away: then once more
                self._slots.release()
                self._stopping.wait(0.05)
                continue
            thread = threading.Thread(target=self._serve, args=(client,), name="egress-connection", daemon=True)
            self._threads = [*(other for other in self._threads if other.is_alive()), thread]
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            # That either side hangs up is no news; what became of the request, the command itself reports.
            with contextlib.suppress(OSError), self._held(client):
                self._answer(client)
        finally:
            self._slots.release()

    @contextlib.contextmanager
    def _held(self, connection: socket.socket) -> Iterator[socket.socket]:
        """Keep a connection where `stop` finds it, and close it in the end."""
        with connection:
            with self._lock:
                if self._stopping.is_set():
                    raise ConnectionAbortedError
                self._open.add(connection)
            try:
                yield connection
            finally:
                with self._lock:
                    self._open.discard(connection)

    def _answer(self, client: socket.socket) -> None:
        client.settimeout(HEAD_S)
        try:
            head, early = _read_head(client)
            request = parse_request(head)
        except ValueError as error:
            _say(client, "400 Bad Request", f"{error}.")
            return
        if (request.host, request.port) not in self._allowed:
            self._count_refused(request)
            to = f"{request.host}:{request.port}"
            why = f"This rehearsal may not reach {to}; network_allow in backout.toml can open it."
            _say(client, "403 Not opened for this rehearsal", why)
        elif not request.tunnel and request.method not in ("GET", "HEAD"):
            self._count_refused(request)
            _say(
                client,
                "405 Only GET and HEAD over plain HTTP",
                "A rehearsal fetches over plain HTTP, and sends nothing.",
            )
        else:
            self._pass_on(client, request, early)

    def _pass_on(self, client: socket.socket, request: Request, early: bytes) -> None:
        """Connect, and carry bytes to and fro until both sides are done."""
        with contextlib.ExitStack() as held:
            try:
                server, sent_bytes, back = self._reach(request, early, held)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error) or "no answer"
                _say(client, "502 Not reached", f"{request.host}:{request.port} was not reached from the host: {why}.")
                return
            self._count_reached(request, 1, sent_bytes)
            client.sendall(back)
            # A resource is asked for alone: what the client sends after it (pipelined, or a body) is read and let go.
            up, down = _Flow(client, server if request.tunnel else None), _Flow(server, client)
            try:
                _carry(up, down)
            finally:
                self._count_reached(request, 0, up.carried_bytes)

    def _reach(self, request: Request, early: bytes, held: contextlib.ExitStack) -> tuple[socket.socket, int, bytes]:
        """Connect to the destination, through the host's own proxy if it has one, and send what was asked.

        Gives the connection, how many bytes went out on it, and what the client is to be sent first.
        """
        via = self._upstream.way_to(request)
        server = self._connect(*((via.host, via.port) if via else (request.host, request.port)), held)
        if not request.tunnel:
            head = forwarded_head(request, via)
            server.sendall(head)
            return server, len(head), _answer_begun(server)
        back = _tunnel_opened(server, tunnel_head(request, via)) if via else b""
        server.sendall(early)
        return server, len(early), _ESTABLISHED + back

    def _connect(self, host: str, port: int, held: contextlib.ExitStack) -> socket.socket:
        """Try a host's addresses in the order that its resolver gives."""
        failed = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            attempt = held.enter_context(contextlib.ExitStack())
            try:
                server = attempt.enter_context(self._held(socket.socket(family, kind, protocol)))
                server.settimeout(CONNECT_S)
                server.connect(address)
            except OSError as error:
                attempt.close()
                failed = error
            else:
                server.settimeout(IDLE_S)
                return server
        raise failed

    def _count_refused(self, request: Request) -> None:
        to = (request.host, request.port)
        with self._lock:
            if to in self._refused or len(self._refused) < MOST_REFUSED:
                self._refused[to] = self._refused.get(to, 0) + 1

    def _count_reached(self, request: Request, connections: int, sent_bytes: int) -> None:
        to = (request.host, request.port)
        with self._lock:
            before = self._reached.get(to, (0, 0))
            self._reached[to] = (before[0] + connections, before[1] + sent_bytes)


class _Flow:
    """Bytes on their way from one connection to another, one chunk at a time; without a target they are let go."""

    def __init__(self, source: socket.socket, target: socket.socket | None) -> None:
        self._source, self._target = source, target
        self._pending = b""
        self.carried_bytes = 0
        self.ended = False

    def waits_for(self) -> tuple[int, int]:
        """Name the descriptor that has to become ready, and the event of poll(2)."""
        if self._pending and self._target:
            return self._target.fileno(), select.POLLOUT
        return self._source.fileno(), select.POLLIN

    def move(self) -> None:
        """Take one step, now that it is ready; at the source's end, pass the end on."""
        if self._pending and self._target:
            sent = self._target.send(self._pending)
            self.carried_bytes += sent
            self._pending = self._pending[sent:]
            return
        self._pending = self._source.recv(_CHUNK_BYTES)
        self.ended = not self._pending
        if self.ended and self._target:
            self._target.shutdown(socket.SHUT_WR)


def _carry(up: _Flow, down: _Flow) -> None:
    """Let both flows run to their ends; give up on a silence, and soon once the server is done."""
    while not (up.ended and down.ended):
        waiting = [(flow, *flow.waits_for()) for flow in (up, down) if not flow.ended]
        poll = select.poll()
        for descriptor in {descriptor for _, descriptor, _ in waiting}:
            poll.register(descriptor, sum({event for _, at, event in waiting if at == descriptor}))
        ready = dict(poll.poll((LINGER_S if down.ended else IDLE_S) * 1000))
        if not ready:
            return
        for flow, descriptor, event in waiting:
            if ready.get(descriptor, 0) & (event | select.POLLHUP | select.POLLERR):
                flow.move()


def _tunnel_opened(server: socket.socket, head: bytes) -> bytes:
    """Ask the host's own proxy for a tunnel; give what came after its yes. A no is an OSError."""
    server.sendall(head)
    answer, back = _read_head(server)
    line = answer.decode("latin-1").split("\r\n")[0]
    if line.split(" ")[1:2] != ["200"]:
        raise OSError(f"the host's own proxy says {line[:200]!r}")
    return back


def _answer_begun(server: socket.socket) -> bytes:
    """Read the answer's head, past interim ones (1xx); give it as the client is to see it, and what came after it."""
    head, rest = _read_head(server)
    while head.split(b" ")[1:2] and head.split(b" ")[1].startswith(b"1"):
        head, rest = _read_head(server, rest)
    return answered_head(head) + rest


def _read_head(connection: socket.socket, data: bytes = b"") -> tuple[bytes, bytes]:
    """Read up to the empty line, `data` being what was read before; give that, and what came after it already."""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk and not data:
            raise ConnectionAbortedError("it hung up without a word")
        if not chunk or len(data) > HEAD_BYTES:
            raise ValueError("the head of the message has no end")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _say(client: socket.socket, status: str, sentence: str) -> None:
    """Answer by ourselves, and wait until the client has taken it: closing over unread bytes would reset it."""
    body = f"{sentence}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    client.sendall(f"{head}Connection: close\r\n\r\n".encode("latin-1") + body)
    client.shutdown(socket.SHUT_WR)
    client.settimeout(LINGER_S)
    while client.recv(_CHUNK_BYTES):
        pass
