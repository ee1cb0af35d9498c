"""Hosts that are asked beside what else is done: each in a thread of its own, and none is waited for for long."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

from backout.errors import BackoutError, FailedError
from backout.link.wire import Link

LIMIT_S = 5.0
"""How long a host may say nothing before it is named, and no longer waited for."""
LISTENS_EVERY_S = 0.2
"""How often the thread that waits looks up, so that it hears Ctrl-C."""

_STOPS_S = 2.0

End = Callable[[], None]
Open = Callable[[str, Callable[[End], None]], AbstractContextManager[Link]]
"""Reaches a host, in the thread that will use the link; says on the way how to end at once what is waited for."""


class Heard(NamedTuple):
    """What a host said to `what`: its answer, or why there is none."""

    host: str
    what: str
    answer: Any
    error: BackoutError | None = None


class Calls:
    """Asks hosts; what they say is heard in the order of its coming. Used by one thread."""

    def __init__(self, hosts: Iterable[str], open_link: Open) -> None:
        """Reach nobody yet: the first thing that is asked does."""
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._calls = {host: _Call(host, open_link, self._heard) for host in hosts}
        self._waits: set[tuple[str, str]] = set()

    def ask(self, host: str, what: str, operation: str, limit_s: float = LIMIT_S, **arguments: Any) -> None:
        """Ask a host when it has answered what it was asked before; `what` names the answer."""
        self._waits.add((host, what))
        self._calls[host].ask(what, operation, limit_s, arguments)

    def waits_for(self, *what: str) -> list[str]:
        """Name the hosts that have not answered one of these yet."""
        return sorted({host for host, asked in self._waits if asked in what})

    def hear(self, *what: str, within_s: float | None = None) -> Iterator[Heard]:
        """Give what is said, as it comes: until all that is named here was said, or the time is over.

        Without a time each host's own limits end the waiting.
        """
        until = None if within_s is None else time.monotonic() + within_s
        while True:
            left_s = LISTENS_EVERY_S if until is None else until - time.monotonic()
            left_s = left_s if self.waits_for(*what) else 0.0
            try:
                heard = self._heard.get(timeout=max(min(left_s, LISTENS_EVERY_S), 0.001))
            except queue.Empty:
                if left_s <= 0:
                    return
                continue
            self._waits.discard((heard.host, heard.what))
            yield heard

    def close(self) -> None:
        """Let go of all links; what is still asked is not waited for."""
        for host in {host for host, _ in self._waits}:
            self._calls[host].end()
        for call in self._calls.values():
            call.close()


class _Call:
    """One host: its link, and the thread in which all that is asked of it is asked."""

    def __init__(self, host: str, open_link: Open, heard: queue.SimpleQueue[Heard]) -> None:
        self._host, self._open, self._heard = host, open_link, heard
        self._asked: queue.SimpleQueue[tuple[str, str, float, dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"host {host}", daemon=True)
        self._stack = ExitStack()
        self._link: Link | None = None
        self._lost: BackoutError | None = None
        self._late = self._ended = False
        self._end: End = lambda: None

    def ask(self, what: str, operation: str, limit_s: float, arguments: dict[str, Any]) -> None:
        if self._thread.ident is None:
            self._thread.start()
        self._asked.put((what, operation, limit_s, arguments))

    def _work(self) -> None:
        for asked in iter(self._asked.get, None):
            self._ask(*asked)
        self._stack.close()

    def _ask(self, what: str, operation: str, limit_s: float, arguments: dict[str, Any]) -> None:
        answer, error = None, self._lost
        if error is None:
            timer = threading.Timer(limit_s, self._over)
            timer.daemon = True
            timer.start()
            try:
                link = self._link = self._link or self._stack.enter_context(self._open(self._host, self._on_the_way))
                answer = link.ask(operation, **arguments)
            except Exception as failed:  # noqa: BLE001 - a thread that ends says nothing, and would be waited for
                told = failed if isinstance(failed, BackoutError) else FailedError(f"{self._host}: {failed!r}.")
                error = _silent(self._host, limit_s) if self._late else told
                self._lost = error if self._link is None or self._late else None
            finally:
                timer.cancel()
        self._heard.put(Heard(self._host, what, answer, error))

    def _on_the_way(self, end: End) -> None:
        self._end = end
        if self._late or self._ended:
            end()

    def _over(self) -> None:
        self._late = True
        self._end()

    def end(self) -> None:
        """Ask it to stop what it does, as Ctrl-C would; before it is reached, end the way there."""
        self._ended = True
        self._lost = FailedError("Not waited for any longer.")
        if self._link is None:
            self._end()
        else:
            self._link.interrupt()

    def close(self) -> None:
        """Let go of the link, when its thread has ended; one that does not stop is ended."""
        if self._thread.ident is not None:
            self._asked.put(None)
            self._thread.join(_STOPS_S)
            if self._thread.is_alive():
                self._end()
                self._thread.join()


def _silent(host: str, limit_s: float) -> FailedError:
    return FailedError(
        f"{host} said nothing for {limit_s:g} s.", state="What is known of it is what is stored.", next="Try again."
    )
