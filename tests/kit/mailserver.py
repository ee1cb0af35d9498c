"""A real SMTP server in a thread, and a real receiver of webhooks, which do what a test wants them to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Post:
    """An SMTP server: keeps what it takes. `refuses` are recipients that it will not have; `answer` ends each mail."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []
        self.refuses: set[str] = set()
        self.answer = "250 queued as 4711"
        self.drops = False
        self.hangs: threading.Event | None = None
        self.address = ""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or not."""
        del server, session, options
        if address in self.refuses:
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail whole, then answer: or drop the connection, or say nothing for a while."""
        del session
        if self.answer.startswith("250"):
            content = envelope.content if isinstance(envelope.content, bytes) else b""
            mail = message_from_bytes(content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append((",".join(envelope.rcpt_tos), mail))
        if self.drops:
            assert server.transport is not None
            server.transport.close()
        if self.hangs is not None:
            await server.loop.run_in_executor(None, self.hangs.wait)
        return self.answer


def free_port() -> int:
    """Give a port of this machine that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@contextmanager
def post(**settings: Any) -> Iterator[Post]:
    """Run an SMTP server while a test needs it."""
    handler = Post()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port(), **settings)
    controller.start()
    handler.address = f"127.0.0.1:{controller.port}"
    try:
        yield handler
    finally:
        if handler.hangs is not None:
            handler.hangs.set()
        controller.stop()


class Hook:
    """A receiver of webhooks: keeps what is posted, and answers with `status` once `before` is over."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        self.before: Callable[[], object] = lambda: None
        self.address = ""


@contextmanager
def hook() -> Iterator[Hook]:
    """Run a receiver of webhooks while a test needs it."""
    kept = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            kept.before()
            with suppress(OSError):  # who does not wait any longer
                self.send_response(kept.status)
                self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
