"""A command's conversation with its sandbox: output as it comes, input as it is typed, the answer at the end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import termios
import tty
from collections.abc import Callable, Iterator
from typing import Any

from backout.errors import FailedError
from backout.host.channel import Channel, close_all, no_message
from backout.model import shape

_CHUNK = 1 << 16
_TICK_S = 0.05
_END_OF_INPUT = b"\x04\x04"
"""What a person types to end a terminal's input (termios(3), VEOF): once to end the line, a second time the input.

Closing our side would end nothing there.
"""


def _small(value: Any) -> bool:
    return shape.whole(value) and value < 1 << 16


_NAMES = shape.many(shape.like(r"[\x00-\xff]*"))
_ANSWER = shape.either(
    shape.fields({"status": _small, "left": _NAMES, "in_memory": _NAMES, "tried": _NAMES}, closed=True),
    shape.fields({"failed": shape.fields({"errno": _small, "what": shape.text})}, closed=True),
    shape.fields({"too_many": shape.truth}, closed=True),
)
"""What the first process says in the end (`reaper.serve`)."""
_WATCHED = (termios.TIOCGWINSZ, termios.TIOCSWINSZ)


class Session:
    """One command. `watch` is called about every 50 ms; what it raises ends the session."""

    def __init__(self, channel: Channel, on_output: Callable[[str, bytes], None], watch: Callable[[], None]) -> None:
        self._channel, self._on_output, self._watch = channel, on_output, watch
        self._streams: dict[int, str] = {}
        self._input: tuple[int, int] | None = None
        self._pending = b""
        self._terminal = self._ending = False
        self._size = b""
        self._answer: dict[str, Any] | None = None

    def run(self, request: dict[str, Any], stdin: int | None, *, terminal: bool = False) -> dict[str, Any]:
        """Start a command, and give the answer of the sandbox when it and its output have ended.

        Its streams are pipes of ours, never descriptors of the caller: those could be opened anew through /proc.
        FailedError when the sandbox itself ended.
        """
        self._terminal = terminal
        theirs = self._open(stdin, terminal=terminal)
        try:
            self._channel.send(request, theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        try:
            with _raw(stdin if terminal else None):
                self._converse()
        finally:
            self._close()
        return self._answer or {}

    def _open(self, stdin: int | None, *, terminal: bool) -> list[int]:
        if terminal:
            self._input = (0 if stdin is None else stdin, -1)
            return [os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)]
        theirs = [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)] if stdin is None else [self._input_pipe(stdin)]
        for name in ("stdout", "stderr"):
            ours, other = os.pipe2(os.O_CLOEXEC)
            self._streams[ours] = name
            theirs.append(other)
        return theirs

    def _input_pipe(self, stdin: int) -> int:
        theirs, ours = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(ours, False)
        self._input = (stdin, ours)
        return theirs

    def _converse(self) -> None:
        while self._answer is None or self._streams:
            self._watch()
            for descriptor, _ in self._waits_for().poll(_TICK_S * 1000):
                if descriptor == self._channel.fileno():
                    self._hear()
                elif descriptor in self._streams:
                    self._read(descriptor)
                elif self._input is not None:
                    self._feed(descriptor)
            self._follow_size()

    def _waits_for(self) -> select.poll:
        waiting = select.poll()
        for descriptor in self._streams:
            waiting.register(descriptor, select.POLLIN)
        if self._answer is None:
            waiting.register(self._channel.fileno(), select.POLLIN)
        if self._input is not None and self._input[1] >= 0:
            if self._pending:
                waiting.register(self._input[1], select.POLLOUT)
            else:
                waiting.register(self._input[0], select.POLLIN)
        return waiting

    def _hear(self) -> None:
        message = self._channel.receive()
        if message is None:
            raise FailedError("The sandbox of the rehearsal ended unexpectedly.")
        answer, descriptors = message
        if self._terminal and not self._streams and len(descriptors) == 1 and answer == {"terminal": True}:
            (master,) = descriptors
            self._streams[master] = "stdout"
            source = self._input[0] if self._input else 0
            writable = os.dup(master)
            self._input = (source, writable)
        elif descriptors or not _ANSWER(answer):
            close_all(descriptors)
            no_message()
        else:
            self._answer = answer

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _CHUNK)
        except OSError:  # EIO: nobody has the terminal's other side any more
            data = b""
        if data:
            self._on_output(self._streams[descriptor], data)
        else:
            del self._streams[descriptor]
            os.close(descriptor)

    def _feed(self, descriptor: int) -> None:
        """Carry input over, one chunk at a time; stop when either end has had enough."""
        if self._input is None:
            return
        source, sink = self._input
        try:
            if descriptor == source:
                self._pending = os.read(source, _CHUNK)
                if not self._pending and self._terminal:
                    self._pending, self._ending = _END_OF_INPUT, True
                ended = not self._pending
            else:
                self._pending = self._pending[os.write(sink, self._pending) :]
                ended = self._ending and not self._pending
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._end_input()

    def _end_input(self) -> None:
        if self._input is not None and self._input[1] >= 0:
            os.close(self._input[1])
        self._input, self._pending = None, b""

    def _follow_size(self) -> None:
        """Give the inner terminal the size of the outer one."""
        if self._input is None or "stderr" in self._streams.values() or not os.isatty(self._input[0]):
            return
        source, sink = self._input
        get, put = _WATCHED
        size = fcntl.ioctl(source, get, b"\0" * 8)
        if sink >= 0 and size != self._size:
            self._size = size
            fcntl.ioctl(sink, put, size)

    def _close(self) -> None:
        for descriptor in self._streams:
            os.close(descriptor)
        self._streams = {}
        self._end_input()


@contextlib.contextmanager
def _raw(terminal: int | None) -> Iterator[None]:
    """Let every key through to the inner terminal, and give the outer one back as it was."""
    if terminal is None or not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
