"""Messages between the parent and the first process of a sandbox: JSON over a socket, with file descriptors."""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

_LENGTH = struct.Struct("=I")
_MOST_DESCRIPTORS = 8


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

    def receive(self) -> tuple[Any, list[int]] | None:
        """Wait for one message and its descriptors (closed on exec); None when the other end is gone."""
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
        head += self._exactly(_LENGTH.size - len(head)) if head else b""
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        content = self._exactly(length)
        return (json.loads(content), list(found)) if len(content) == length else None

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
