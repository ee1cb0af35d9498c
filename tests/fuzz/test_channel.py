"""What comes out of a sandbox is an answer, or the rehearsal ends with an error: no hang, no traceback."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.errors import BackoutError, FailedError
from backout.host import channel as channels
from backout.host import sandbox as sandboxes
from backout.host.assemble import RECORD
from backout.host.channel import Channel
from backout.host.namespaces import Keeper
from backout.host.sandbox import Sandbox
from backout.host.session import Session
from kit.hostile import BYTES, LONG, dumped, edited, hunted, mutated

ANSWERS: tuple[dict[str, Any], ...] = (
    {"status": 256, "left": ["sleep"], "in_memory": ["sem.x"], "tried": ["mount"]},
    {"failed": {"errno": 2, "what": "argv"}},
    {"too_many": True},
    {"terminal": True},
    {"limits": ["a"]},
    {"error": FailedError("no").document()},
    {"bug": "Traceback"},
)


def framed(content: bytes, length: int | None = None) -> bytes:
    """Write a message; with a length that may be a lie."""
    return struct.pack("=I", len(content) if length is None else length) + content


class _Deaf(Channel):
    """A channel whose other end takes nothing, so that what is handed over is closed at once."""

    def send(self, document: Any, descriptors: Sequence[int] = ()) -> None:
        """Say nothing."""


class Said(Keeper):
    """The parent's end of a channel into which all has been said already."""

    def __init__(self, content: bytes, descriptors: int = 0) -> None:
        ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * descriptors))] if descriptors else []
        with contextlib.suppress(BlockingIOError):  # more than a socket holds: cut short
            sent = self._theirs.sendmsg([content], rights) if content else 0
            self._theirs.sendall(content[sent:])
        self._theirs.shutdown(socket.SHUT_WR)
        super().__init__(0, _Deaf(ours))

    def end(self) -> None:
        """Close both."""
        self.channel.close()
        self._theirs.close()


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Compare the open descriptors before and after."""
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


def _read(content: bytes, descriptors: int) -> None:
    for hear in (_message, _session, _greeting):
        with no_descriptor_left():
            said = Said(content, descriptors)
            try:
                hear(said)
            except BackoutError as error:
                assert error.what
            except RuntimeError as error:
                assert hear is _greeting, error  # a bug that is told as one
            finally:
                said.end()


def _message(said: Said) -> None:
    message = said.channel.receive()
    if message is not None:
        assert isinstance(message[0], dict)
        channels.close_all(message[1])


def _session(said: Said) -> None:
    for terminal in (False, True):
        session = Session(said.channel, lambda *_: None, lambda: None)
        answer = session.run({"run": {}}, None, terminal=terminal)
        assert answer.keys() & {"status", "failed", "too_many"}


def _greeting(said: Said) -> None:
    sandbox = Sandbox("change", b"/nowhere")
    try:
        sandbox._greet(said, RECORD)
        assert all(isinstance(limit, str) for limit in sandbox.limits)
    finally:
        if sandbox.proxy_socket is not None:
            sandbox.proxy_socket.close()


@hunted(150)
@given(
    st.one_of(
        edited(ANSWERS).map(dumped).map(framed),
        mutated(tuple(framed(dumped(answer)) for answer in ANSWERS)),
        st.builds(framed, mutated(tuple(map(dumped, ANSWERS))), st.sampled_from((0, 1, 2**16, 2**31, 2**32 - 1))),
    ),
    st.integers(0, 3),
)
def test_a_hostile_message_ends_the_rehearsal(content: bytes, descriptors: int) -> None:
    """A length that is a lie, a type that is another, more descriptors than anybody waits for."""
    _read(content, descriptors)


@pytest.mark.parametrize("content", [*LONG, *BYTES], ids=len)
def test_a_message_of_great_depth_or_length_ends_the_rehearsal(content: bytes) -> None:
    """A parser that walks into it would not come back."""
    _read(framed(content), 0)


def test_a_message_that_stops_in_its_middle_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other end is there, and says no more."""
    monkeypatch.setattr(channels, "_PATIENCE_S", 0.05)
    ours, theirs = socket.socketpair()
    with theirs, ours:
        for part in (b"\1", framed(b"{", 10)):
            theirs.sendall(part)
            with pytest.raises(FailedError):
                Channel(ours).receive()


@hunted(100)
@given(st.one_of(edited(({"result": [1]}, *ANSWERS)).map(dumped), mutated((b'{"result": [["a", "b"]]}',))))
def test_a_hostile_result_is_a_result_or_an_error(said: bytes) -> None:
    """A check of the application's shares the pipe of its result with what it starts."""
    with contextlib.suppress(BackoutError):
        assert sandboxes._outcome(said).keys() & {"result", "error", "bug"}
