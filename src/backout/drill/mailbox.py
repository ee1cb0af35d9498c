"""The drill's own mail server on this machine (RFC 5321, as far as needed): what it takes goes nowhere."""

from __future__ import annotations

import socketserver
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import NamedTuple, Self

from backout.errors import FailedError


class Mail(NamedTuple):
    """A message as it came: to whom, its subject, its plain text."""

    to: str
    subject: str
    text: str


class Mailbox:
    """Takes mail on a free port of the loopback interface, from when it is entered until it is left."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Session)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Give the port."""
        return int(self._server.server_address[1])

    @property
    def mails(self) -> list[Mail]:
        """Give what came so far, in the order of its coming."""
        return list(self._server.mails)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], session: type[_Session]) -> None:
        super().__init__(address, session)
        self.mails: list[Mail] = []


class _Session(socketserver.StreamRequestHandler):
    """One connection: every sender and every recipient is welcome."""

    timeout = 30.0
    server: _Server

    def handle(self) -> None:
        to = ""
        self._say("220 drill")
        for line in iter(self.rfile.readline, b""):
            word = line[:4].upper().strip()
            if word == b"RCPT":
                to = line.decode(errors="replace").partition("<")[2].partition(">")[0]
            if word == b"DATA":
                self._say("354 go on")
                self.server.mails.append(_read(to, self._content()))
            self._say("221 bye" if word == b"QUIT" else "250 taken")
            if word == b"QUIT":
                return

    def _content(self) -> bytes:
        """Read up to the line with a dot alone; of one that begins with a dot, the first goes (RFC 5321, 4.5.2)."""
        lines: list[bytes] = []
        for line in iter(self.rfile.readline, b""):
            if line == b".\r\n":
                break
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def _read(to: str, content: bytes) -> Mail:
    message: EmailMessage = message_from_bytes(content, policy=default)
    body = message.get_body(("plain",))
    if body is None:
        raise FailedError("The drill's mail server was sent a message without plain text.")
    return Mail(to, str(message["Subject"]), str(body.get_content()).replace("\r\n", "\n"))
