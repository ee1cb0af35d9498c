"""Messages between the parent and the first process of a sandbox: JSON over a socket, with file descriptors."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

from backout.errors import FailedError
from backout.model import shape

_LENGTH = struct.Struct("=I")
_MOST_DESCRIPTORS = 8
_LONGEST = 1 << 26
"""Bytes of a message: 2048 names of processes, and as many in /dev/shm as anybody makes, are less."""
_PATIENCE_S = 60.0
"""How long the rest of a message may take that has begun: it is sent in one go."""


class Channel:
    """One end. What is sent must be JSON; bytes go as text, `as_text` and `as_bytes` convert them exactly."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def fileno(self) -> int:
        """Give the descriptor, to wait on it."""
        return self._socket.fileno()

    def send(self, document: Any, descriptors: Sequence[int] = ()) -> None:
        """Send one message; OSError when the other end is gone."""
        content = json.dumps(document).encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self._socket.sendmsg([_LENGTH.pack(len(content))], rights)
        self._socket.sendall(content)

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """Wait for one message and its descriptors (closed on exec); None when the other end is gone.

        FailedError when what comes is no message, or stops in the middle of one.
        """
        found = array.array("i")
        try:
            head, rights, _, _ = self._socket.recvmsg(
                _LENGTH.size, socket.CMSG_SPACE(_MOST_DESCRIPTORS * found.itemsize), socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return None
        for level, kind, data in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found.frombytes(data[: len(data) - len(data) % found.itemsize])
        document = None
        try:
            document = self._document(head)
        finally:
            if document is None:
                close_all(found)
        return None if document is None else (document, list(found))

    def _document(self, head: bytes) -> dict[str, Any] | None:
        """Read the rest of a message that begins so; None when the other end is gone by then."""
        self._socket.settimeout(_PATIENCE_S)
        try:
            head += self._exactly(_LENGTH.size - len(head)) if head else b""
            (length,) = _LENGTH.unpack(head) if len(head) == _LENGTH.size else (0,)
            if length > _LONGEST:
                no_message()
            content = self._exactly(length)
            if not length or len(content) < length:
                return None
            document = shape.load(content)
        except (ValueError, TimeoutError, socket.timeout):
            no_message()
        finally:
            self._socket.settimeout(None)
        return document if isinstance(document, dict) else no_message()

    def _exactly(self, length: int) -> bytes:
        content = bytearray()
        while len(content) < length:
            chunk = self._socket.recv(min(length - len(content), 1 << 16))
            if not chunk:
                break
            content += chunk
        return bytes(content)

    def close(self) -> None:
        """Close this end: the other notices."""
        self._socket.close()


def no_message() -> NoReturn:
    """Say that what was said is none that may be: the rehearsal ends, and nothing was changed."""
    raise FailedError("What the sandbox of the rehearsal said is no message.", next="backout doctor")


def pair() -> tuple[Channel, Channel]:
    """Make both ends of a channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours), Channel(theirs)


def as_text(value: bytes) -> str:
    """Write bytes as JSON can carry them."""
    return value.decode("latin-1")


def as_bytes(text: str) -> bytes:
    """Read them back."""
    return text.encode("latin-1")


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that were handed over."""
    for descriptor in descriptors:
        os.close(descriptor)
