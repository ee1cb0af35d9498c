"""Progress while something runs: one line on a terminal that clears itself, and nothing anywhere else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Protocol, Self, TextIO

from backout.render.screen import Screen

_EVERY_S = 1.0
_SECONDS = 8
"""Cells of a line that are left for the seconds."""


class Reporter(Protocol):
    """What a flow is given to say how far it is. Never part of a result: leaving it out changes nothing."""

    def step(self, text: str) -> None:
        """Say what begins now; it ends what began before."""

    def output(self, stream: str, data: bytes) -> None:
        """Pass on what the command wrote; `stream` is stdout or stderr."""

    def done(self) -> None:
        """Say that all is over. More than once is fine."""


class SilentReporter:
    """Says nothing: for --json, --quiet, pipes and tests."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def output(self, stream: str, data: bytes) -> None:
        """Say nothing."""

    def done(self) -> None:
        """Say nothing."""


class TerminalReporter:
    """Keeps one line with the step and its seconds at the foot of a terminal; the command's output scrolls above it.

    The output goes to the same stream, byte by byte as the command wrote it. Leaving it as a context clears the line.
    """

    def __init__(self, stream: TextIO, screen: Screen) -> None:
        self._stream = stream
        self._screen = screen
        self._lock = threading.Lock()
        self._text = ""
        self._since = 0.0
        self._shown = False
        self._open_line = False
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None

    def step(self, text: str) -> None:
        """Show the step with the seconds since it began, from now on once a second."""
        with self._lock:
            if self._over.is_set():
                return
            self._text, self._since = text, time.monotonic()
            self._draw()
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()

    def output(self, stream: str, data: bytes) -> None:  # noqa: ARG002 - the protocol's: a terminal shows both alike
        """Write the command's bytes above the line; half a line of them keeps ours away until it ends."""
        if not data:
            return
        with self._lock:
            self._clear()
            self._stream.flush()
            self._stream.buffer.write(data)
            self._stream.buffer.flush()
            self._open_line = not data.endswith((b"\n", b"\r"))
            self._draw()

    def done(self) -> None:
        """Clear the line and stop."""
        with self._lock:
            self._over.set()
            self._clear()
            if self._open_line:
                self._stream.write("\n")
                self._open_line = False
            self._stream.flush()
        if self._ticker is not None:
            self._ticker.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done()

    def _tick(self) -> None:
        while not self._over.wait(_EVERY_S):
            with self._lock:
                if not self._over.is_set():
                    self._draw()

    def _draw(self) -> None:
        if self._open_line or not self._text:
            return
        seconds = f" {int(time.monotonic() - self._since)} s"
        room = max(self._screen.width - len(seconds) - 1, 1)
        self._stream.write(f"\r\x1b[K{self._screen.visible(self._text)[:room]}{seconds}")
        self._stream.flush()
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._shown = False


class Crowd:
    """Makes one step of what several hosts are at: named while they fit into the line, else counted. For threads."""

    def __init__(self, step: Callable[[str], None], screen: Screen) -> None:
        self._step, self._screen = step, screen
        self._lock = threading.Lock()
        self._title = ""
        self._hosts: dict[str, str] = {}

    def begin(self, title: str) -> None:
        """Say what begins now for all of them: nobody is at anything yet."""
        with self._lock:
            self._title, self._hosts = title, {}
            self._step(title)

    def at(self, host: str, text: str) -> None:
        """Say what a host is at now."""
        with self._lock:
            self._hosts[host] = text
            self._step(crowd(self._title, self._hosts, self._screen))


def crowd(title: str, hosts: Mapping[str, str], screen: Screen) -> str:
    """Say what hosts are at in one line: "wave 2 of 5: web3 applying · web4 checking"; of many, how many at what."""
    between = screen.plain(" · ")
    named = f"{title}: {between.join(f'{host} {text}' for host, text in hosts.items())}"
    if len(named) <= screen.width - _SECONDS:
        return named
    counts = Counter(hosts.values())
    return f"{title}: {between.join(f'{count} {text}' for text, count in counts.items())}"


def reporter(stream: TextIO, screen: Screen, *, quiet: bool = False) -> Reporter:
    """Choose: only a terminal, and only one that wants to hear it, is told."""
    return SilentReporter() if quiet or not stream.isatty() else TerminalReporter(stream, screen)
